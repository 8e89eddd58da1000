"""/jobs/new and /comparisons/new: forms that order; a look at one changes nothing."""

import secrets
from collections.abc import Callable, Mapping
from typing import TypeVar

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict

from batchpool.api.context import service
from batchpool.api.inventory import show_tasks
from batchpool.api.page_response import page
from batchpool.api.problems import InvalidRequest, Problem
from batchpool.api.use_cases.submit_comparison import submit_comparison
from batchpool.api.use_cases.submit_job import job_limits, submit
from batchpool.comparisons.admission import admit_comparison
from batchpool.jobs.admission import admit
from batchpool.jobs.fleet import Fleet, admit_with_fresh_fleet
from batchpool.jobs.planning import JobPlan
from batchpool.json_value import JsonObject
from batchpool.ledger.values.comparison_entries import ComparisonSpec
from batchpool.pages.forms.common_fields import chosen_task
from batchpool.pages.forms.comparison_form import (
    CheckedComparison,
    build_comparison_form,
    comparison_body,
)
from batchpool.pages.forms.job_form import Checked, build_job_form, job_body
from batchpool.schemas.comparison_requests import ComparisonRequest
from batchpool.schemas.job_requests import JobRequest
from batchpool.schemas.reading import read_model
from batchpool.schemas.refusals import FieldError, InvalidFields, Refusal

blueprint = Blueprint("forms_page", __name__)

Answer = TypeVar("Answer")


@blueprint.get("/jobs/new")
def get_new_job() -> Response:
    return _job_form(request.args)


@blueprint.post("/jobs/new")
def post_new_job() -> Response:
    """Order the job and show it; or show what is wrong. With `?fragment=` only a look."""
    if "fragment" in request.args:
        return _job_form(request.form)
    values = request.form.to_dict()
    body = job_body(values, chosen_task(values, _tasks()))
    found, errors, refusal = _tried(lambda: submit(service(), read_model(JobRequest, body)))
    if found is None:
        return _job_form(request.form, Checked(errors=errors, refusal=refusal))
    return see_other(f"/jobs/{found.job_id}")


@blueprint.get("/comparisons/new")
def get_new_comparison() -> Response:
    return _comparison_form(request.args)


@blueprint.post("/comparisons/new")
def post_new_comparison() -> Response:
    """Order the comparison and show it; or show what is wrong. With `?fragment=` only a look."""
    if "fragment" in request.args:
        return _comparison_form(request.form)
    values, backends = request.form.to_dict(), request.form.getlist("backend")
    body = comparison_body(values, backends, chosen_task(values, _tasks()))
    found, errors, refusal = _tried(
        lambda: submit_comparison(service(), read_model(ComparisonRequest, body))
    )
    if found is None:
        return _comparison_form(request.form, CheckedComparison(errors=errors, refusal=refusal))
    return see_other(f"/comparisons/{found.comparison_id}")


def _job_form(given: "MultiDict[str, str]", checked: Checked | None = None) -> Response:
    values, fleet, tasks = _values(given), service().fleets.cached(), _tasks()
    # A form that nobody has filled in yet is not wrong.
    is_begun = bool(given.get("task"))
    if not is_begun:
        values = {"task": _first_task(tasks), **values}
    if checked is None:
        body = job_body(values, chosen_task(values, tasks))
        checked = _checked_job(body) if is_begun else Checked()
    view = build_job_form(values, tasks, fleet, checked, request.host_url.rstrip("/"))
    return _answer(page("new_job.html", "Jobs", view=view), checked)


def _comparison_form(
    given: "MultiDict[str, str]", checked: CheckedComparison | None = None
) -> Response:
    values, fleet, tasks = _values(given), service().fleets.cached(), _tasks()
    backends = given.getlist("backend")
    is_begun = bool(given.get("task"))
    if not is_begun:
        values = {"task": _first_task(tasks), **values}
    if checked is None:
        body = comparison_body(values, backends, chosen_task(values, tasks))
        checked = _checked_comparison(body) if is_begun else CheckedComparison()
    url = request.host_url.rstrip("/")
    view = build_comparison_form(values, backends, tasks, fleet, checked, url)
    return _answer(page("new_comparison.html", "Comparisons", view=view), checked)


def _checked_job(body: JsonObject) -> Checked:
    """What the admission says, by the same code that orders."""
    limits = job_limits(service().settings)

    def look(fleet: Fleet) -> JobPlan:
        return admit(read_model(JobRequest, body), fleet, limits)

    plan, errors, refusal = _tried(lambda: admit_with_fresh_fleet(service().fleets, look))
    return Checked(plan, errors, refusal)


def _checked_comparison(body: JsonObject) -> CheckedComparison:
    most = service().settings.max_batches

    def look(fleet: Fleet) -> ComparisonSpec:
        read = read_model(ComparisonRequest, body)
        return admit_comparison(read, fleet, most, lambda: secrets.randbelow(100)).spec

    spec, errors, refusal = _tried(lambda: admit_with_fresh_fleet(service().fleets, look))
    return CheckedComparison(spec, errors, refusal)


def _tried(order: Callable[[], Answer]) -> tuple[Answer | None, tuple[FieldError, ...], str]:
    """The answer, or the fields that are wrong, or why nothing is taken."""
    try:
        return order(), (), ""
    except InvalidFields as refusal:
        return None, tuple(refusal.errors), ""
    except InvalidRequest as problem:
        return None, tuple(problem.errors), ""
    except Problem as problem:
        return None, (), problem.detail
    except Refusal as refusal:
        return None, (), str(refusal)


def _values(given: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in given.items() if name != "fragment"}


def _tasks() -> list[JsonObject]:
    found: list[JsonObject] = show_tasks(service().fleets.cached())["tasks"]
    return found


def _first_task(tasks: list[JsonObject]) -> str:
    names = [str(task["name"]) for task in tasks]
    return "sleep" if "sleep" in names else next(iter(names), "")


def _answer(response: Response, checked: Checked | CheckedComparison) -> Response:
    """A form that was sent and refused has the status of a refusal; a look at it has not."""
    if request.method == "POST" and "fragment" not in request.args:
        response.status_code = 422 if checked.errors else 503
    return response


def see_other(path: str) -> Response:
    """Where the browser should go on, with a GET."""
    return Response(status=303, headers={"Location": path})
