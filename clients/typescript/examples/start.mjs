/** Save a definition, start a workflow, wait for it, list it: node examples/start.mjs http://127.0.0.1:8080 */
import { connect, iterateWorkflows, newWorkflowDefinition, startWorkflow, waitForWorkflow } from '../dist/index.js';

const client = connect(process.argv[2]);
const name = `typescript-example-${process.pid}`;

await newWorkflowDefinition({
  client,
  throwOnError: true,
  body: { name, stateMachine: { StartAt: 'hello', States: { hello: { Type: 'Pass', Result: 'world', End: true } } } },
});
for (let n = 0; n < 3; n++) {
  const { data: started } = await startWorkflow({
    client,
    throwOnError: true,
    body: { workflowDefinition: { name, version: -1 }, input: JSON.stringify({ n }), namespace: 'example' },
  });
  const ended = await waitForWorkflow(client, started.id, { pollMilliseconds: 50 });
  console.log(`${ended.id} ${ended.status} ${ended.output}`);
}
let listed = 0;
for await (const workflow of iterateWorkflows(client, { workflowDefinitionName: name, limit: 2 })) {
  listed += workflow.status === 'succeeded' ? 1 : 0;
}
console.log(`${listed} listed`);
