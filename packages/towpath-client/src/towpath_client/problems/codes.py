"""One class for each problem code of the API. A code is the class's name in another spelling."""

from __future__ import annotations

from towpath_client.problems.statuses import (
    BadRequest,
    Conflict,
    Invalid,
    NoRoom,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    RequestTimeout,
    ServerFault,
    TooLarge,
    Unavailable,
    WrongMediaType,
    WrongMethod,
)


class MalformedBody(BadRequest):
    """The body is not JSON."""


class BadContentLength(BadRequest):
    """The header Content-Length is no number."""


class BadHost(BadRequest):
    """The header Host is missing or there twice."""


class Unauthorised(NotAuthenticated):
    """No known token was sent."""


class Forbidden(PermissionDenied):
    """The token's role does not allow it; `extra` has the `required_role`."""


class ForeignHost(PermissionDenied):
    """The API does not serve the host name of the URL."""


class ForeignOrigin(PermissionDenied):
    """A web page of another host sent it."""


class NotOnBehalf(PermissionDenied):
    """The token may not act on behalf of others."""


class NotFromConsole(PermissionDenied):
    """A session cookie came with a command that the console's own page did not send."""


class NoSuchRoute(NotFound):
    """The API has no such route: it may be older than this package."""


class NoSuchTask(NotFound):
    """No task has this id."""


class NoSuchAttempt(NotFound):
    """The task has no such attempt."""


class NoSuchWorkspace(NotFound):
    """No workspace is registered under this name."""


class NoSuchQuestion(NotFound):
    """The task has no such question."""


class NoSuchChannel(NotFound):
    """The notifier's file has no channel of this name, or no notifier is configured."""


class NoSuchDeadLetter(NotFound):
    """No dead letter has this number."""


class NoSuchSchema(NotFound):
    """No schema has this name."""


class RunnerNotFound(NotFound):
    """No runner with this id is known."""


class BeyondTheLog(NotFound):
    """The position is behind the log's end: the log was replaced by an older one."""


class OtherLog(NotFound):
    """Another event stands at the position: the log was replaced."""


class OutputGone(NotFound):
    """The output was deleted, or never kept; `extra` has the `output_tail` of an ended attempt."""


class MethodNotAllowed(WrongMethod):
    """The route takes other methods."""


class BodyTooSlow(RequestTimeout):
    """The body did not arrive in time."""


class NoLoginNeeded(Conflict):
    """The API has no tokens, so there is nothing to log in with."""


class CheckpointsDamaged(Conflict):
    """A stored checkpoint is missing or malformed."""


class IdTaken(Conflict):
    """Another task has this id, or was created with this key and other content."""


class WorkspaceLocked(Conflict):
    """Others hold the paths, and the task does not wait; `extra` has the `holders`."""


class WorkspaceChanged(Conflict):
    """The workspace was moved or removed meanwhile."""


class WorkspaceInUse(Conflict):
    """Something holds or waits in the workspace."""


class ClaimEnded(Conflict):
    """The task was a claim, as of `towpath lock`, which has ended: no runner takes another attempt."""


class WorkspaceFull(Conflict):
    """The workspace has too many claims."""


class RootOverlap(Conflict):
    """The root lies in another workspace's, or around it."""


class AlreadyDispatched(Conflict):
    """An attempt is open."""


class AlreadySucceeded(Conflict):
    """The task has succeeded."""


class AlreadyEnded(Conflict):
    """The task has ended."""


class AlreadyAnswered(Conflict):
    """Another answer was first; `extra` has it, and `by` whom."""


class Ended(Conflict):
    """The attempt has ended."""


class ConflictingEnd(Conflict):
    """The attempt has ended another way."""


class Changed(Conflict):
    """The task is no longer as the caller saw it."""


class StaleAttempt(Conflict):
    """Another attempt is current by now."""


class UnknownAttempt(Conflict):
    """The task has no such attempt yet."""


class AttemptRequired(Conflict):
    """The task has had several attempts: name one."""


class NotYourAttempt(Conflict):
    """Another runner holds the attempt."""


class NotDispatched(Conflict):
    """The task is not dispatched."""


class NotGranted(Conflict):
    """The attempt was not granted its lock yet."""


class NotRunning(Conflict):
    """Only a running attempt asks."""


class CancelRequested(Conflict):
    """A cancel was requested."""


class LockReleaseRequested(Conflict):
    """An operator released the lock."""


class QuestionOpen(Conflict):
    """The task's last question is still open."""


class TooManyQuestions(Conflict):
    """The task has asked its limit of questions."""


class CounterWentBack(Conflict):
    """A newer heartbeat of this runner is known."""


class RunnerIdTaken(Conflict):
    """Another runner lives under this id."""


class RunnerAlive(Conflict):
    """The runner may live."""


class RunnerHoldsLock(Conflict):
    """A lock of the runner is kept for an operator."""


class RunnerHoldsTask(Conflict):
    """An attempt of the runner is open, so it cannot be forgotten."""


class NothingHeld(Conflict):
    """A runner with a key of its own lists no open task of its pool."""


class NotReplayable(Conflict):
    """The dead letter cannot be replayed."""


class ReplayFailed(Conflict):
    """The replay was refused."""


class BodyTooLarge(TooLarge):
    """The body is too large."""


class NotJson(WrongMediaType):
    """The body is not declared as JSON."""


class InvalidRequest(Invalid):
    """The request has the wrong shape; `extra` has the `errors`, one for each field."""


class BadCursor(Invalid):
    """The cursor is not one of this list."""


class BadHeader(Invalid):
    """A header has the wrong form."""


class BadLockPath(Invalid):
    """A lock path leaves the workspace."""


class BadRoot(Invalid):
    """The root is no absolute path."""


class BadTaskId(Invalid):
    """This is no task id."""


class EventTooLarge(Invalid):
    """The request makes an event that is too large."""


class NoFreeText(Invalid):
    """The question takes one of its choices only."""


class NotAChoice(Invalid):
    """The answer is none of the question's choices."""


class WrongToken(Invalid):
    """The token is another attempt's."""


class InternalError(ServerFault):
    """A fault of the server, recorded in its log."""


class Busy(Unavailable):
    """The request met too many others."""


class Overloaded(Unavailable):
    """Too many requests are under way."""


class TooSlow(Unavailable):
    """No answer could be given in time."""


class Stopping(Unavailable):
    """The API is being stopped."""


class TooManyStreams(Unavailable):
    """Too many live streams are open."""


class LogBehind(Unavailable):
    """The log's leader has not caught up yet."""


class LogUnreachable(Unavailable):
    """The log does not answer."""


class ViewBehind(Unavailable):
    """The API has not caught up with the log yet."""


class HeartbeatsFull(Unavailable):
    """The room for heartbeats is nearly used up, so no new runner is taken."""


class RunnerAway(Unavailable):
    """The runner that keeps the output does not answer; `extra` has the `output_tail` of an ended attempt."""


class RunnerBusy(Unavailable):
    """The runner takes nothing more at present."""


class NotReady(Unavailable):
    """A part of the API is not ready."""


class LogFull(NoRoom):
    """The log is full."""


class LogNearlyFull(NoRoom):
    """The log has no room for new work."""
