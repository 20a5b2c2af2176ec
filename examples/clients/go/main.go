// Approves an order: deploys a workflow, starts a run of it, and follows it to its end.
//
//	go run .             the example
//	go run . watch RUN   follows a run, such as runs/0193f0a2-5c1e-7cc3-98c4-dc0c0c07398f
//	go run . FILE        deploys another definition
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	flux "example.com/approval/flux/v1"
)

func main() {
	cluster, err := FromEnvironment()
	if err == nil {
		err = run(cluster, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, Explain(err))
		os.Exit(1)
	}
}

func run(cluster *Cluster, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "watch":
		return follow(cluster, args[1], nil)
	case len(args) > 0:
		_, err := deploy(cluster, args[0])
		return err
	}
	return approveAnOrder(cluster, "B-2")
}

func approveAnOrder(cluster *Cluster, order string) error {
	workflow, err := deploy(cluster, "../../order-approval/workflow.yaml")
	if err != nil {
		return err
	}
	run, err := submit(cluster, workflow, order)
	if err != nil {
		return err
	}
	if _, err = submit(cluster, workflow, order); err != nil {
		return err
	}
	if err = follow(cluster, run, func() error { return approve(cluster, run, order) }); err != nil {
		return err
	}
	return listRuns(cluster)
}

func deploy(cluster *Cluster, file string) (string, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	request := &flux.DeployWorkflowRequest{Source: string(source)}
	var answer *flux.DeployWorkflowResponse
	err = cluster.Call(func(ctx context.Context, engine flux.FluxServiceClient) (err error) {
		answer, err = engine.DeployWorkflow(ctx, request)
		return err
	})
	if err != nil {
		return "", err
	}
	fmt.Println("deployed", answer.Workflow.Name)
	return answer.Workflow.Name, nil
}

func submit(cluster *Cluster, workflow, order string) (string, error) {
	input, err := json.Marshal(map[string]string{"orderId": order})
	if err != nil {
		return "", err
	}
	request := &flux.SubmitRunsRequest{Runs: []*flux.NewRun{{
		Workflow:  workflow,
		InputJson: string(input),
		RequestId: "order " + order, // one run for each order, whoever asks how often
	}}}
	var answer *flux.SubmitRunsResponse
	err = cluster.Call(func(ctx context.Context, engine flux.FluxServiceClient) (err error) {
		answer, err = engine.SubmitRuns(ctx, request)
		return err
	})
	if err != nil {
		return "", err
	}
	how := "started"
	if answer.Runs[0].AlreadySubmitted {
		how = "already started"
	}
	fmt.Println(how, answer.Runs[0].Name)
	return answer.Runs[0].Name, nil
}

func approve(cluster *Cluster, run, order string) error {
	data, err := json.Marshal(map[string]interface{}{"orderId": order, "approved": true})
	if err != nil {
		return err
	}
	decision := &flux.SignalRunRequest{
		Name:     run,
		Type:     "com.example.approval.decided",
		DataJson: string(data),
		Id:       "approval of " + order,
	}
	err = cluster.Call(func(ctx context.Context, engine flux.FluxServiceClient) error {
		_, err := engine.SignalRun(ctx, decision)
		return err
	})
	if err == nil {
		fmt.Println("approved")
	}
	return err
}

// follow prints what happens to a run, and calls onWaiting once when it waits.
func follow(cluster *Cluster, name string, onWaiting func() error) error {
	var run *flux.Run
	err := cluster.Watch(name, func(news *flux.WatchRunResponse) error {
		run = news.Run
		line := stateOf(run)
		for _, commit := range news.Commits {
			line += " " + commit.Node
		}
		fmt.Println(line)
		if run.State != flux.RunState_RUN_STATE_WAITING || onWaiting == nil {
			return nil
		}
		act := onWaiting
		onWaiting = nil
		return act()
	})
	if err != nil {
		return err
	}
	if run.State != flux.RunState_RUN_STATE_COMPLETED {
		return fmt.Errorf("%s: %s", stateOf(run), run.GetFault())
	}
	fmt.Println("result", run.OutputJson)
	return nil
}

func stateOf(run *flux.Run) string {
	return strings.ToLower(strings.TrimPrefix(run.State.String(), "RUN_STATE_"))
}

func listRuns(cluster *Cluster) error {
	// A page is enough here; the next one begins at the answer's NextPageToken.
	request := &flux.ListRunsRequest{PageSize: 10, Filter: &flux.RunFilter{Workflow: "order-approval"}}
	var answer *flux.ListRunsResponse
	err := cluster.Call(func(ctx context.Context, engine flux.FluxServiceClient) (err error) {
		answer, err = engine.ListRuns(ctx, request)
		return err
	})
	if err != nil {
		return err
	}
	for _, run := range answer.Runs {
		fmt.Println("listed", run.Name, run.CreateTime.AsTime(), run.InputJson)
	}
	return nil
}
