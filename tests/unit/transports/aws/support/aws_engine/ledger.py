"""What really happened, written down outside of the engine; and what the promises forbid."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from sourceflow.bus.outcome import Discarded, Rejected, RetryLater
from sourceflow.transports.aws.leases import LOOKS

__all__ = ("Held", "Ledger")

VISIBILITY = 30
MAX_ATTEMPTS = 3
#: After so many receives SQS itself would give a message up.
MAX_RECEIVES = 3 * MAX_ATTEMPTS
MAX_CALLS = 3

#: How the tags of messages begin that can never be decoded.
UNDECODABLE = ("garbage", "wrong kind")

#: Seconds that an acknowledgement may be on its way before it leaves: its lease may end meanwhile.
LATE = 0.01

#: Seconds before its end in which a worker gives up a lease that it cannot renew: the message is then
#: nobody's until it shows by itself, as its handle may soon be another's.
GIVEN_UP_BEFORE = VISIBILITY / LOOKS


def dead_letter_queue(queue):
    return f"{queue.removesuffix('.fifo')}-dlq{'.fifo' if queue.endswith('.fifo') else ''}"


def is_dead_letter_queue(queue):
    return queue.removesuffix(".fifo").endswith("-dlq")


def tag_of(body):
    """What a test calls a message, whatever SQS and its envelope call it; junk is its own name."""
    try:
        return json.loads(body)["data"]["tag"]
    except (ValueError, KeyError, TypeError):
        return body


def note_in(entry):
    """What a dead letter says about itself."""
    return json.loads(entry["MessageAttributes"]["sourceflow-dead-letter"]["StringValue"])


@dataclass(eq=False)
class Held:
    """One receive of one message by one worker.

    Attributes:
        worker: Who.
        queue: Its queue's name.
        handle: The receipt handle.
        tag: The message.
        group: Its message group, on a FIFO queue.
        expires: When its lease ends for all the worker knows; None while the answer is under way.
        lost: When the worker was told that it is lost.
        delete_asked: Whether its delete was asked for.
        handed_back: Whether its visibility was given up, and SQS said yes.
        not_handed_back: Whether the call to do so failed.
        is_fresh: Whether it was not handled since it was received, or since its last dead letter
            was sent.
    """

    worker: object
    queue: str
    handle: str
    tag: str
    group: str | None
    expires: float | None = None
    lost: float | None = None
    delete_asked: bool = False
    handed_back: bool = False
    not_handed_back: bool = False
    is_fresh: bool = True

    @property
    def copy(self):
        """What SQS calls the message."""
        return self.handle.split(".")[1]

    def is_lost(self, now):
        ends = [end for end in (self.lost, self.expires) if end is not None]
        return bool(ends) and now > min(ends)


@dataclass
class Ledger:
    """Is told of every request and of every handling, and keeps what breaks a promise.

    Attributes:
        aws: Where the messages are: what is in its queues is looked up, never modelled.
        time: Returns the time.
        is_exactly_once: Whether the workers share their stores, as they share a database.
        accepted: The messages that SQS took in.
        effects: How often each took effect, by worker.
        discarded: The messages that a handler wanted gone.
        violations: What broke a promise.
    """

    aws: object
    time: object
    is_exactly_once: bool
    accepted: set = field(default_factory=set)
    effects: dict = field(default_factory=lambda: defaultdict(Counter))
    discarded: set = field(default_factory=set)
    violations: list = field(default_factory=list)
    held: dict = field(default_factory=dict)
    dead_copies: set = field(default_factory=set)
    failures: Counter = field(default_factory=Counter)
    last_sent: dict = field(default_factory=dict)

    def require(self, holds, promise, what):
        if not holds:
            self.violations.append(f"promise {promise}, at {self.time():.3f}: {what}")

    # -- what is where

    def queue(self, name):
        return self.aws._sqs.queues.named(name)

    def messages(self, name):
        """The messages of a queue, oldest first, whether they show or not."""
        return [each for each in self.queue(name)._messages.values() if not each.gone]

    def copies(self, tag, *, besides=None):
        return [
            each
            for queue in self.aws._sqs.queues
            for each in queue._messages.values()
            if not each.gone and each.id != besides and tag_of(each.body) == tag
        ]

    def hides(self, held):
        """Whether SQS still hides a message because of this receive."""
        now = self.aws._now()
        return any(
            each.receipt_handle == held.handle and (each.hidden_until or 0) > now
            for each in self.messages(held.queue)
        )

    def is_settled(self, tag):
        return tag in self.effects or tag in self.discarded

    # -- what workers ask of SQS

    def asked(self, worker, operation, queue, request):
        """A worker makes a call; whether it takes effect is not said yet."""
        match operation:
            case "ReceiveMessage":
                self.require(not worker.is_stopping, 6, f"{worker} receives from {queue} again")
            case "DeleteMessageBatch":
                for entry in request["Entries"]:
                    self._delete_asked(worker, queue, self.held[entry["ReceiptHandle"]])
            case "ChangeMessageVisibilityBatch":
                for entry in request["Entries"]:
                    held = self.held[entry["ReceiptHandle"]]
                    if entry["VisibilityTimeout"] != VISIBILITY:
                        held.not_handed_back = True  # until SQS says yes
                        self.require(
                            held not in worker.running,
                            3,
                            f"{worker} hands {held.tag} back while it handles it",
                        )
            case "SendMessageBatch" if is_dead_letter_queue(queue):
                for entry in request["Entries"]:
                    self._dead_letter_asked(worker, entry)

    def _delete_asked(self, worker, queue, held):
        self.require(
            self.is_settled(held.tag) or self.copies(held.tag, besides=held.copy),
            1,
            f"{worker} deletes {held.tag} from {queue}, which is neither handled nor kept",
        )
        self.require(
            held not in worker.running,
            1,
            f"{worker} deletes {held.tag} from {queue} while it handles it",
        )
        if not held.delete_asked and not is_dead_letter_queue(
            queue
        ):  # the retries of a delete may come late: they harm nobody
            self.require(
                not self._is_known_as_lost(held),
                5,
                f"{worker} acknowledges {held.tag} of {queue}, whose lease is lost",
            )
        held.delete_asked = True

    def _is_known_as_lost(self, held):
        return held.is_lost(self.time() - LATE)

    def _dead_letter_asked(self, worker, entry):
        tag = tag_of(entry["MessageBody"])
        note = note_in(entry)
        for held in self.held.values():
            if held.worker is worker and held.copy == note["copy"]:
                held.is_fresh = True
        if note["reason"] in {"RetriesExhausted", "UnknownType"}:
            failures = self.failures[worker, note["copy"]]
            is_last = note["reason"] == "UnknownType" and note["received"] >= MAX_RECEIVES
            self.require(
                failures >= MAX_ATTEMPTS or is_last,
                7,
                f"{worker} gives {tag} up after {failures} failures",
            )

    def took_effect(self, worker, operation, queue, request, answer):
        """SQS did what was asked; the answer is on its way."""
        match operation:
            case "SendMessageBatch":
                self._sent(queue, request, answer)
            case "ReceiveMessage":
                for message in answer.get("Messages", ()):
                    handle = message["ReceiptHandle"]
                    self.held[handle] = Held(
                        worker,
                        queue,
                        handle,
                        tag_of(message["Body"]),
                        message["Attributes"].get("MessageGroupId"),
                    )
            case "ChangeMessageVisibilityBatch":
                done = {entry["Id"] for entry in answer.get("Successful", ())}
                for entry in request["Entries"]:
                    held = self.held[entry["ReceiptHandle"]]
                    if entry["VisibilityTimeout"] != VISIBILITY and entry["Id"] in done:
                        held.handed_back, held.not_handed_back = True, False

    def _sent(self, queue, request, answer):
        entries = {entry["Id"]: entry for entry in request["Entries"]}
        for success in answer.get("Successful", ()):
            entry = entries[success["Id"]]
            if is_dead_letter_queue(queue):
                self.dead_copies.add(note_in(entry)["copy"])
            else:
                self._accepted(queue, tag_of(entry["MessageBody"]), entry.get("MessageGroupId"))

    def _accepted(self, queue, tag, group):
        """SQS took a message in; each call to send ends before the next begins."""
        if tag in self.accepted:  # again, as an answer was lost
            return
        self.accepted.add(tag)
        number = int(tag.rpartition(" ")[2])
        if group is not None:
            last = self.last_sent.get(group, 0)
            self.require(number > last, 3, f"{tag} enters {queue} behind the {last}th, sent later")
            self.last_sent[group] = number

    def confirmed(self, tag):
        """A sender was told that a message is sent."""
        self.require(tag in self.accepted, 1, f"{tag} is confirmed, and SQS has not taken it")

    def answered(self, operation, request, answer, asked_at):
        """A worker has its answer."""
        match operation:
            case "ReceiveMessage":
                for message in answer.get("Messages", ()):
                    held = self.held[message["ReceiptHandle"]]
                    held.expires = self.time() + VISIBILITY
            case "ChangeMessageVisibilityBatch":
                by_id = {entry["Id"]: entry for entry in request["Entries"]}
                for success in answer.get("Successful", ()):
                    entry = by_id[success["Id"]]
                    if entry["VisibilityTimeout"] == VISIBILITY:
                        self.held[entry["ReceiptHandle"]].expires = asked_at + VISIBILITY
                for failure in answer.get("Failed", ()):
                    held = self.held[by_id[failure["Id"]]["ReceiptHandle"]]
                    if failure["Code"] != "InternalError" and held.lost is None:
                        held.lost = self.time()

    # -- what handlers do

    def began(self, worker, held):
        """A worker begins to handle a message."""
        tag = held.tag
        others = ", ".join(each.tag for each in worker.running)
        self.require(len(worker.running) < MAX_CALLS, 5, f"{worker} handles {tag} beside {others}")
        self.require(not worker.is_stopping, 6, f"{worker} stops, and begins {tag}")
        self.require(not self._is_known_as_lost(held), 5, f"{worker} begins {tag}, which it lost")
        self.require(
            held.is_fresh or not tag.startswith(UNDECODABLE), 4, f"{worker} handles {tag} again"
        )
        held.is_fresh = False
        if held.group is not None:
            self._began_in_order(worker, held)

    def _began_in_order(self, worker, held):
        for other in worker.running:
            self.require(
                (other.queue, other.group) != (held.queue, held.group),
                3,
                f"{worker} handles {held.tag} beside {other.tag} of its group",
            )
        messages = self.messages(held.queue)
        order = next((each.order for each in messages if each.id == held.copy), 0)
        for each in messages:
            if each.group == held.group and each.order < order:
                other = tag_of(each.body)
                self.require(
                    self.is_settled(other) or each.id in self.dead_copies,
                    3,
                    f"{worker} handles {held.tag} before {other}, which stands before it",
                )

    def ended(self, worker, held, outcome):
        """A handling ended; the outcome is None where it was cancelled.

        A lease is kept as long as its handler runs, if SQS can be reached and nobody steals it.
        """
        self.require(
            outcome is not None
            or worker.is_stopping
            or worker.wire.has_failed
            or held.lost is not None,
            5,
            f"{worker} cancels {held.tag}",
        )
        if isinstance(outcome, Discarded):
            self.discarded.add(held.tag)
        elif isinstance(outcome, Rejected) or (
            isinstance(outcome, RetryLater) and not outcome.asked
        ):  # one that is rejected comes again where its lease is lost before it is a dead letter
            self.failures[worker, held.copy] += 1

    def committed(self, worker, tag):
        """A unit of work committed."""
        self.effects[tag][worker] += 1
        times = self.effects[tag].total() if self.is_exactly_once else self.effects[tag][worker]
        self.require(times == 1, 2, f"{tag} took effect again, in {worker}")

    # -- what must hold at any time, and at certain ones

    def check(self, workers):
        """Raise what broke a promise."""
        for worker in workers:
            for held in worker.running:
                self.require(
                    not self._is_known_as_lost(held),
                    5,
                    f"{worker} handles {held.tag}, which it lost",
                )
        assert not self.violations, "\n".join(self.violations)

    def stopped(self, worker):
        """A worker has stopped: what it held shows to others, but for what it could not say."""
        for held in self.held.values():
            if held.worker is not worker or is_dead_letter_queue(held.queue):
                continue
            if held.expires is None or held.is_lost(self.time() + GIVEN_UP_BEFORE):
                continue
            if held.delete_asked or held.handed_back or held.not_handed_back:
                continue
            self.require(
                not self.hides(held),
                6,
                f"{worker} has stopped and hides {held.tag} of {held.queue}",
            )

    def kept(self, tag):
        """Whether a message had its effect, or somebody can still find it."""
        return self.is_settled(tag) or bool(self.copies(tag))
