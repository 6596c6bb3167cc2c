"""How its workflows are tested: ``pytest test_orders.py`` takes no hours."""

import orders

from workflow_manager.testing import Fail

DAY = 86_400


def test_fulfil(wfm):
    wfm.app(orders.app)
    run = wfm.run("fulfil", {"order": 7, "wait": 30 * DAY})

    run.assert_succeeded()
    run.assert_path("Reserve", "Wait for the shop to open", "Charge")
    assert run.output["charged"] == {"receipt": 1007}
    assert run.seconds == 30 * DAY


def test_a_declined_card_is_tried_again_an_hour_later(wfm):
    wfm.app(orders.app)
    run = wfm.run("fulfil", {"order": 7, "amount": 500, "wait": 0})

    run.assert_succeeded()
    assert run.retries("Charge") == 1
    assert run.seconds == 3600


def test_with_stubs(wfm):
    wfm.load("workflows.yaml")
    wfm.stub("reserve", {"order": 7, "shelf": "B1"})
    wfm.stub("Charge", Fail("CardDeclined", "no credit"))
    run = wfm.run("fulfil", {"order": 7, "wait": 5})

    run.assert_failed("CardDeclined")
    assert run.inputs("Charge") == [{"order": 7, "wait": 5, "reservation": {"order": 7, "shelf": "B1"}}]
