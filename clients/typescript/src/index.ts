/** Client of the workflow-manager HTTP API: its operations by their names, and what one would write around them oneself. */
import { createClient, createConfig, type Client } from './generated/client/index.js';
import { getWorkflowByID, getWorkflows } from './generated/sdk.gen.js';
import type { GetWorkflowsData, Workflow } from './generated/types.gen.js';

export * from './generated/sdk.gen.js';
export type * from './generated/types.gen.js';
export type { Client };

/** A client of one server. Pass it as `client` to an operation; with `throwOnError: true` errors are thrown. */
export function connect(server = 'http://127.0.0.1:8080', init: { fetch?: typeof fetch } = {}): Client {
  return createClient(createConfig({ baseUrl: server.replace(/\/+$/, ''), ...init }));
}

/** The server refused; `code` says why, for programs. */
export class WorkflowManagerError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'WorkflowManagerError';
  }
}

type Query = NonNullable<GetWorkflowsData['query']>;

/** Every workflow of a query, page after page. Throws WorkflowManagerError. */
export async function* iterateWorkflows(client: Client, query: Query = {}): AsyncGenerator<Workflow, void, void> {
  for (let next: Query | undefined = { workflowDefinitionName: '', ...query }; next !== undefined; ) {
    const page: { items: Workflow[]; next?: Query } = await workflowsPage(client, next);
    yield* page.items;
    next = page.next;
  }
}

/** One page, and the query of the next one: the path that leads there repeats all of it. */
async function workflowsPage(client: Client, query: Query): Promise<{ items: Workflow[]; next?: Query }> {
  const { data, error, response } = await getWorkflows({ client, query });
  const items = answered(data, error, response);
  const path = response?.headers.get('x-next-page-path');
  if (!path || items.length === 0) {
    return { items };
  }
  return { items, next: Object.fromEntries(new URL(path, 'http://server').searchParams) as Query };
}

const FINAL = new Set(['succeeded', 'failed', 'cancelled']);

/** Wait until a workflow has ended. Throws WorkflowManagerError, and whatever `signal` is aborted with. */
export async function waitForWorkflow(
  client: Client,
  workflowID: string,
  { pollMilliseconds = 500, signal }: { pollMilliseconds?: number; signal?: AbortSignal } = {},
): Promise<Workflow> {
  for (;;) {
    signal?.throwIfAborted();
    const { data, error, response } = await getWorkflowByID({ client, path: { workflowID }, signal });
    const workflow = answered(data, error, response);
    if (FINAL.has(workflow.status ?? '')) {
      return workflow;
    }
    await new Promise((resolve) => setTimeout(resolve, pollMilliseconds));
  }
}

function answered<T>(data: T | undefined, error: unknown, response: Response | undefined): T {
  if (data !== undefined) {
    return data;
  }
  const { code, message } = (error ?? {}) as { code?: string; message?: string };
  throw new WorkflowManagerError(response?.status ?? 0, code ?? 'Unknown', message ?? String(error));
}
