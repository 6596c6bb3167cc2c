// Save a definition, start a workflow, wait for it, list it: go run ./examples/start http://127.0.0.1:8080
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	wfm "workflow-manager.example/clients/go"
)

func main() {
	server := "http://127.0.0.1:8080"
	if len(os.Args) > 1 {
		server = os.Args[1]
	}
	if err := run(context.Background(), server); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, server string) error {
	client, err := wfm.NewClientWithResponses(server)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("go-example-%d", os.Getpid())
	definition, err := client.NewWorkflowDefinitionWithResponse(ctx, wfm.NewWorkflowDefinitionRequest{
		Name: &name,
		StateMachine: map[string]any{
			"StartAt": "hello",
			"States":  map[string]any{"hello": map[string]any{"Type": "Pass", "Result": "world", "End": true}},
		},
	})
	if err != nil {
		return err
	}
	if err := wfm.Refused(definition.StatusCode(), definition.JSON400, definition.JSON500); err != nil {
		return err
	}
	for n := range 3 {
		once := &wfm.StartWorkflowParams{IdempotencyKey: wfm.Ptr(fmt.Sprintf("%s-%d", name, n))}
		started, err := client.StartWorkflowWithResponse(ctx, once, wfm.StartWorkflowRequest{
			WorkflowDefinition: wfm.WorkflowDefinitionRef{Name: &name, Version: wfm.Ptr[int64](-1)},
			Input:              wfm.Ptr(fmt.Sprintf(`{"n": %d}`, n)),
			Namespace:          wfm.Ptr("example"),
		})
		if err != nil {
			return err
		}
		if err := wfm.Refused(started.StatusCode(), started.JSON400, started.JSON404, started.JSON500); err != nil {
			return err
		}
		ended, err := wfm.WaitForWorkflow(ctx, client, started.JSON200.Id, 50*time.Millisecond)
		if err != nil {
			return err
		}
		fmt.Println(ended.Id, *ended.Status, *ended.Output)
	}
	listed := 0
	query := &wfm.GetWorkflowsParams{WorkflowDefinitionName: &name, Limit: wfm.Ptr(2)}
	for workflow, err := range wfm.IterateWorkflows(ctx, client, query) {
		if err != nil {
			return err
		}
		if *workflow.Status == "succeeded" {
			listed++
		}
	}
	fmt.Println(listed, "listed")
	return nil
}
