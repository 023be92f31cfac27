"""Works on external studies: leases a point, evaluates it, reports the value; ends when none is left.

Usage: python external_worker.py [HOST:PORT]. The rules of the game are in proto/strop/v1.
"""
import math, pathlib, sys, threading, time, uuid
import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "proto"))
wire, service = grpc.protos_and_services("strop/v1/worker_service.proto")  # generated now, by grpcio-tools

def evaluate(point, stop):
    """Your measurement goes here; it ends early once `stop` is set. This one is best, 1, at 0.01, 5, fine."""
    stop.wait(0.2)
    grit = {"fine": 0.0, "coarse": 0.5}[point["stone"]]
    return 1 - (math.log10(point["pressure"]) + 2) ** 2 - 0.1 * (point["strokes"] - 5) ** 2 - grit

def until_answered(call, request):
    """Repeats a call while the coordinator is away. None if it was ABORTED: the work is somebody else's now."""
    while True:
        try:
            return call(request, timeout=30)
        except grpc.RpcError as error:
            if error.code().name == "ABORTED":
                return None
            if error.code().name in ("INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"):
                raise
            time.sleep(1)

def keep(worker, lease, renewed, stop, done):
    """Renews a lease until `done`; says `stop` if it is lost, may have lapsed, or was withdrawn."""
    ttl = lease.ttl.ToTimedelta().total_seconds()
    while not done.wait(ttl / 4):
        sent = time.monotonic()
        try:
            answer = worker.Heartbeat(wire.HeartbeatRequest(ref=lease.ref), timeout=ttl / 4)
            withdrawn, renewed = answer.directive in (wire.DIRECTIVE_CANCEL, wire.DIRECTIVE_DRAIN), sent
        except grpc.RpcError as error:
            withdrawn = error.code().name == "ABORTED" or time.monotonic() > renewed + ttl / 2
        if withdrawn:
            stop.set()

with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051") as channel:
    worker, able = service.WorkerServiceStub(channel), wire.Capabilities(objectives=["external"], label="example")
    request, answer = wire.LeaseRequest(worker_id=str(uuid.uuid4()), capabilities=able), wire.LeaseResponse()
    while not answer.idle:
        asked_at, stop, done = time.monotonic(), threading.Event(), threading.Event()
        answer = until_answered(worker.Lease, request)
        if answer.HasField("drain"):  # sent away: with an error if it is this machine's fault
            sys.exit(answer.drain.reason if answer.drain.is_unfit else 0)
        if not answer.HasField("lease"):
            time.sleep(max(0.1, answer.retry_after.ToTimedelta().total_seconds()))
            continue
        lease = answer.lease
        threading.Thread(target=keep, args=(worker, lease, asked_at, stop, done), daemon=True).start()
        value = evaluate({k: getattr(v, v.WhichOneof("kind")) for k, v in lease.point.values.items()}, stop)
        if stop.is_set():
            until_answered(worker.Release, wire.ReleaseRequest(ref=lease.ref, reason="cancelled"))
        elif until_answered(worker.Complete, wire.CompleteRequest(ref=lease.ref, value=value)):
            print(f"{lease.study} {lease.number}: {value:.4f}", flush=True)
        done.set()
