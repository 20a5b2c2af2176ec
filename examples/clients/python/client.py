"""Approves an order: deploys a workflow, starts a run of it, and follows it to its end.

python client.py             the example
python client.py watch RUN   follows a run, such as runs/0193f0a2-5c1e-7cc3-98c4-dc0c0c07398f
python client.py FILE        deploys another definition
"""

import json
import pathlib
import sys

import grpc
from cluster import Cluster, explain
from flux.v1 import run_pb2, service_pb2

APPROVAL = pathlib.Path(__file__).parents[2] / "order-approval/workflow.yaml"


def main(args):
    cluster = Cluster.from_environment()
    if args[:1] == ["watch"]:
        follow(cluster, args[1])
    elif args:
        deploy(cluster, args[0])
    else:
        approve_an_order(cluster, "A-1")


def approve_an_order(cluster, order):
    workflow = deploy(cluster, APPROVAL)
    run = submit(cluster, workflow, order)
    submit(cluster, workflow, order)
    follow(cluster, run, on_waiting=lambda: approve(cluster, run, order))
    list_runs(cluster)


def deploy(cluster, file):
    source = pathlib.Path(file).read_text(encoding="utf-8")
    answer = cluster.call("DeployWorkflow", service_pb2.DeployWorkflowRequest(source=source))
    print(f"deployed {answer.workflow.name}")
    return answer.workflow.name


def submit(cluster, workflow, order):
    new = service_pb2.NewRun(
        workflow=workflow,
        input_json=json.dumps({"orderId": order}),
        request_id=f"order {order}",  # one run for each order, whoever asks how often
    )
    run = cluster.call("SubmitRuns", service_pb2.SubmitRunsRequest(runs=[new])).runs[0]
    print(f"{'already started' if run.already_submitted else 'started'} {run.name}")
    return run.name


def approve(cluster, run, order):
    decision = service_pb2.SignalRunRequest(
        name=run,
        type="com.example.approval.decided",
        data_json=json.dumps({"orderId": order, "approved": True}),
        id=f"approval of {order}",
    )
    cluster.call("SignalRun", decision)
    print("approved")


def follow(cluster, run, on_waiting=None):
    for news in cluster.watch(run):
        run = news.run
        state = run_pb2.RunState.Name(run.state).removeprefix("RUN_STATE_").lower()
        print(state, *(commit.node for commit in news.commits), flush=True)
        if run.state == run_pb2.RUN_STATE_WAITING and on_waiting:
            on_waiting()
            on_waiting = None
    if run.state == run_pb2.RUN_STATE_COMPLETED:
        print(f"result {run.output_json}")
    else:
        sys.exit(f"{state}: {run.fault.title} {run.fault.detail} {run.fault.instance}")


def list_runs(cluster):
    # A page is enough here; the next one begins at `next_page_token`.
    request = service_pb2.ListRunsRequest(page_size=10)
    request.filter.workflow = "order-approval"
    for run in cluster.call("ListRuns", request).runs:
        print(f"listed {run.name} {run.create_time.ToJsonString()} {run.input_json}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(explain(error))
