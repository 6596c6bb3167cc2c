"""Workflows inside a Python application: run it with ``python orders.py``."""

from dataclasses import dataclass

from workflow_manager.sdk import App, Context

app = App("orders", environment="dev")


@dataclass
class Order:
    order: int
    amount: int = 10


@dataclass
class Reservation:
    order: int
    shelf: str


class CardDeclined(Exception):
    """Retry and Catch name it by its class."""


@app.task
def reserve(order: Order) -> Reservation:
    return Reservation(order.order, shelf="A7")


@app.task(concurrency=2, timeout=30)
async def charge(context: Context, order: Order) -> dict:
    if order.amount > 100 and context.attempt == 1:
        raise CardDeclined(f"no credit for {order.amount}")
    context.logger.info("charged", amount=order.amount)
    return {"receipt": 1000 + order.order}


app.load("workflows.yaml")

if __name__ == "__main__":
    wf = app.start("fulfil", {"order": 7, "wait": 1}, tags={"customer": "x"})
    print(wf.result(timeout=60))
