// Package workflowmanager is a client of the workflow-manager HTTP API: its operations by their names
// (client.gen.go, generated from openapi.json), and what one would write around them oneself (this file).
package workflowmanager

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// NextPage is the header that leads to the next page of a list: path and query, to be put behind the server's address.
const NextPage = "X-Next-Page-Path"

// APIError is the server's refusal. Code is for programs; Message is for people.
type APIError struct {
	Status  int
	Code    string
	Message string
}

func (e *APIError) Error() string {
	return fmt.Sprintf("%s (%d): %s", e.Code, e.Status, e.Message)
}

// Refused makes an APIError of whichever of an answer's errors is there; of none, it is nil for a status of success.
func Refused(status int, errors ...*Error) error {
	for _, each := range errors {
		if each != nil {
			return &APIError{Status: status, Code: each.Code, Message: each.Message}
		}
	}
	if status >= http.StatusMultipleChoices {
		return &APIError{Status: status, Code: "Unknown", Message: http.StatusText(status)}
	}
	return nil
}

// Ptr points to a value, as optional fields ask for.
func Ptr[T any](value T) *T {
	return &value
}

// IterateWorkflows yields every workflow of a query, page after page, and ends with the first error.
func IterateWorkflows(
	ctx context.Context, client ClientWithResponsesInterface, params *GetWorkflowsParams,
) iter.Seq2[Workflow, error] {
	return func(yield func(Workflow, error) bool) {
		query := GetWorkflowsParams{}
		if params != nil {
			query = *params
		}
		for {
			page, err := client.GetWorkflowsWithResponse(ctx, &query)
			if err == nil {
				err = Refused(page.StatusCode(), page.JSON400, page.JSON404, page.JSON500, page.JSON503)
			}
			if err != nil {
				yield(Workflow{}, err)
				return
			}
			if page.JSON200 == nil || len(*page.JSON200) == 0 {
				return
			}
			for _, workflow := range *page.JSON200 {
				if !yield(workflow, nil) {
					return
				}
			}
			next, err := url.Parse(page.HTTPResponse.Header.Get(NextPage))
			if err != nil || next.Query().Get("pageToken") == "" {
				return
			}
			query.PageToken = Ptr(next.Query().Get("pageToken"))
		}
	}
}

// WaitForWorkflow asks every interval until a workflow has ended, or the context has.
func WaitForWorkflow(
	ctx context.Context, client ClientWithResponsesInterface, workflowID string, interval time.Duration,
) (*Workflow, error) {
	for {
		answer, err := client.GetWorkflowByIDWithResponse(ctx, workflowID, nil)
		if err != nil {
			return nil, err
		}
		if err := Refused(
			answer.StatusCode(), answer.JSON400, answer.JSON404, answer.JSON500, answer.JSON503,
		); err != nil {
			return nil, err
		}
		switch status := answer.JSON200.Status; {
		case status != nil && (*status == "succeeded" || *status == "failed" || *status == "cancelled"):
			return answer.JSON200, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(interval):
		}
	}
}
