"""Chat completions: the request, every way an answer can end, any split of its bytes, going on after a restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.domain.entities import Agent
from mission_control.domain.limits import RESULT_BYTES_MAX
from mission_control.domain.progress import PlanItem, Progress, gather
from mission_control.domain.values import Usage
from mission_control.runs.agents import openai_chat
from mission_control.runs.agents.attempts import ATTEMPTS_MAX, RETRY_WAIT_MS_MAX, Attempt, Outcome, next_attempt
from mission_control.runs.agents.failures import FAILURES, unreachable, went_silent
from mission_control.runs.agents.openai_chat import (
    ERROR_BODY_BYTES_MAX,
    HISTORY_BYTES_MAX,
    JSON_BODY_BYTES_MAX,
    TOOL_CALLS_MAX,
    ResponseParser,
    Turn,
    auth_headers,
    build_request,
    chat_url,
    health_url,
    models_url,
)
from tests.support.chat_endpoint import DONE, answer, chunk, sse, tool_call, usage

URL = "http://127.0.0.1:18789/v1/chat/completions"


def parser(**given: Any) -> ResponseParser:
    head: dict[str, Any] = {"status": 200, "content_type": "text/event-stream", "url": URL}
    return ResponseParser(**(head | given))


def parse(*reads: bytes, broken: str | None = None, **given: Any) -> tuple[list[Progress], Outcome]:
    """All progress of an answer, and its outcome."""
    reader = parser(**given)
    progress = [item for read in reads for item in reader.feed(read)]
    progress += reader.finish(broken)
    assert reader.outcome is not None
    return progress, reader.outcome


def outcome_of(*reads: bytes, broken: str | None = None, **given: Any) -> Outcome:
    return parse(*reads, broken=broken, **given)[1]


def told(progress: list[Progress]) -> list[tuple[str, str]]:
    """Progress in short: kind and what it says, gathered."""
    return [(item.kind, item.text or item.output or item.input or item.name or "") for item in gather(progress)]


def failure_of(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.code


# --- the request ------------------------------------------------------------------------------------------------------


def agent(**given: Any) -> Agent:
    facts: dict[str, Any] = {"kind": "openai", "url": "http://127.0.0.1:8080/v1"}
    return Agent(**(facts | given))


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://127.0.0.1:18789/v1", "http://127.0.0.1:18789/v1/chat/completions"),
        ("http://127.0.0.1:18789/v1/", "http://127.0.0.1:18789/v1/chat/completions"),
        ("http://127.0.0.1:18789", "http://127.0.0.1:18789/v1/chat/completions"),
        ("https://api.example.test/openai/v1", "https://api.example.test/openai/v1/chat/completions"),
        ("http://[::1]:9/v1/chat/completions", "http://[::1]:9/v1/chat/completions"),
        ("https://gateway.test/v1?api-version=2", "https://gateway.test/v1/chat/completions?api-version=2"),
    ],
)
def test_the_chat_endpoint_is_found_below_the_base_address(base: str, url: str):
    assert chat_url(base) == url


def test_readiness_is_asked_where_endpoints_answer_it():
    assert models_url("http://127.0.0.1:18789") == "http://127.0.0.1:18789/v1/models"
    assert health_url("http://127.0.0.1:18789/v1") == "http://127.0.0.1:18789/healthz"


def test_a_prompt_is_asked_with_streaming_and_usage():
    request = build_request(agent(model="qwen"), token="secret", prompt="Say hello")
    assert json.loads(request.body) == {
        "model": "qwen",
        "messages": [{"role": "user", "content": "Say hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["accept-encoding"] == "identity"


def test_a_second_attempt_leaves_out_what_was_refused():
    body = json.loads(build_request(agent(), token=None, prompt="x", include_usage=False).body)
    assert "stream_options" not in body
    assert "model" not in body


def test_a_plain_endpoint_gets_the_earlier_turns_again():
    turns = [Turn("Count to 3", "1 2"), Turn("You forgot one", "1 2 3")]
    messages = json.loads(build_request(agent(), token=None, prompt="In words", turns=turns).body)["messages"]
    assert [(message["role"], message["content"]) for message in messages] == [
        ("user", "Count to 3"),
        ("assistant", "1 2"),
        ("user", "You forgot one"),
        ("assistant", "1 2 3"),
        ("user", "In words"),
    ]


def test_an_openclaw_gateway_gets_its_session_key_and_only_the_new_message():
    turns = [Turn("Count to 3", "1 2")]
    openclaw = agent(kind="openclaw", url="http://127.0.0.1:18789/v1")
    request = build_request(openclaw, token="t", prompt="Go on", turns=turns, session_id="task_1")
    body = json.loads(request.body)
    assert request.headers["x-openclaw-session-key"] == "mission-control-task_1"
    assert body["model"] == "openclaw"
    assert body["messages"] == [{"role": "user", "content": "Go on"}]


def test_a_long_conversation_loses_its_oldest_turns_first():
    turns = [Turn(f"question {at}", "x" * (HISTORY_BYTES_MAX // 3)) for at in range(5)]
    messages = json.loads(build_request(agent(), token=None, prompt="now", turns=turns).body)["messages"]
    assert [message["content"] for message in messages[::2]] == ["question 3", "question 4", "now"]


def test_a_token_pasted_with_its_line_end_works_and_an_impossible_one_is_refused_at_once():
    assert auth_headers("abc\n")["authorization"] == "Bearer abc"
    assert "authorization" not in auth_headers(None)
    for token in ("a\nx-evil: 1", "schlüssel"):
        with pytest.raises(ValueError, match="Enter it again"):
            auth_headers(token)


# --- answers that end well --------------------------------------------------------------------------------------------


def test_an_ordinary_answer_is_told_word_by_word_and_is_the_result():
    progress, outcome = parse(answer("All is well"))
    assert [item.text for item in progress] == ["All", " is", " well"]
    assert outcome == Outcome("All is well", None, None, "stop")
    assert outcome.is_done


def test_each_item_covers_the_answer_up_to_the_end_of_its_event():
    first, second = sse(chunk("a")), sse(chunk("b"))
    progress, _ = parse(first + second + sse(chunk(finish="stop")) + DONE)
    assert [item.up_to for item in progress] == [len(first), len(first + second)]


def test_an_answer_is_over_as_soon_as_the_agent_says_so():
    reader = parser()
    reader.feed(answer("ok"))
    assert reader.outcome is not None
    assert reader.feed(b"data: garbage") == []
    assert reader.finish() == []
    assert reader.outcome.is_done


def test_empty_null_and_absent_content_say_nothing():
    stream = sse(chunk(role="assistant", content=None), chunk(""), chunk(), {"choices": []})
    stream += sse({"choices": [{"delta": None}]}, chunk("x"), chunk(finish="stop"))
    assert told(parse(stream)[0]) == [("text", "x")]


def test_crlf_comments_and_data_without_a_space_are_understood():
    stream = b": OPENROUTER PROCESSING\r\n\r\n" + sse(chunk("x"), chunk(finish="stop"), end="\r\n\r\n")
    assert outcome_of(stream.replace(b"data: ", b"data:") + b"data:[DONE]\r\n\r\n").result == "x"


def test_a_finish_reason_without_done_is_a_success():
    assert outcome_of(sse(chunk("x"), chunk(finish="stop"))).is_done
    assert outcome_of(sse(chunk("x", finish="stop")), broken="reset").is_done


def test_done_without_a_finish_reason_is_a_success():
    assert outcome_of(sse(chunk("x")) + DONE).is_done


@pytest.mark.parametrize("cut", [1, 2])
def test_a_last_event_without_its_blank_line_counts_if_it_is_whole(cut: int):
    assert outcome_of((sse(chunk("x"), chunk(finish="stop")))[:-cut]).is_done
    assert outcome_of((sse(chunk("x")) + DONE)[:-cut]).is_done


def test_a_last_event_that_is_cut_in_its_middle_does_not_count():
    stream = sse(chunk("x"), chunk(finish="stop"))
    assert failure_of(outcome_of(stream[:-4])) == "agent_stream_truncated"


def test_usage_is_told_once_however_often_it_is_sent():
    tokens = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)
    progress, outcome = parse(sse(chunk("x"), chunk(finish="stop"), usage(10, 5)) + DONE)
    assert outcome.usage == tokens
    assert [item.usage for item in progress if item.kind == "usage"] == [tokens]
    in_each = sse(
        chunk("x") | {"usage": usage(10, 1)["usage"]}, chunk(finish="stop") | {"usage": usage(10, 5)["usage"]}
    )
    progress, outcome = parse(in_each + DONE)
    assert [item.usage for item in progress if item.kind == "usage"] == [tokens]


def test_a_total_that_is_missing_is_the_sum_and_nonsense_counts_as_nothing():
    figures = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": None}
    assert outcome_of(sse(chunk("x"), {"choices": [], "usage": figures}) + DONE).usage == Usage(
        prompt_tokens=3, completion_tokens=4, total_tokens=7
    )
    assert outcome_of(sse(chunk("x"), {"choices": [], "usage": {"prompt_tokens": -1}}) + DONE).usage == Usage()
    assert outcome_of(sse(chunk("x"), {"choices": [], "usage": None}) + DONE).usage is None


def test_only_the_first_of_several_alternatives_is_followed():
    other = {"choices": [{"index": 1, "delta": {"content": "other"}}]}
    assert outcome_of(sse(chunk("mine"), other, chunk(finish="stop"))).result == "mine"


def test_content_in_parts_and_a_refusal_are_text():
    parts = [{"type": "text", "text": "in "}, {"type": "image"}, {"type": "text", "text": "parts"}]
    assert outcome_of(sse({"choices": [{"delta": {"content": parts}}]}) + DONE).result == "in parts"
    assert outcome_of(sse(chunk(refusal="I would rather not.")) + DONE).result == "I would rather not."


def test_events_of_other_names_are_passed_over():
    ping = b"event: ping\ndata: 2026-03-01\n\nevent: progress\ndata: {}\n\ndata:\n\n"
    assert outcome_of(ping + answer("x")).result == "x"


def test_a_very_long_result_is_cut_and_says_so_while_its_progress_is_whole():
    text = "é" * (RESULT_BYTES_MAX // 2) + "tail"
    progress, outcome = parse(sse(chunk(text)) + DONE)
    assert outcome.result == "é" * (RESULT_BYTES_MAX // 2)
    assert "".join(item.text or "" for item in progress if item.kind == "text") == text
    assert [item.kind for item in progress][-1] == "notice"


def test_a_character_that_the_endpoint_cut_in_halves_does_not_end_the_answer():
    halves = b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\ndata: {"choices":[{"delta":{"content":"!"}}]}\n\n'
    outcome = outcome_of(halves + DONE)
    assert outcome.result is not None
    assert outcome.result.endswith("!")
    msgspec.json.encode(outcome.result)  # it can be stored and sent on


# --- one piece of JSON instead of a stream ----------------------------------------------------------------------------


def whole(content: str | None = "All is well", **message: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
    figures = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": figures}).encode()


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", None])
def test_an_answer_in_one_piece_works_whatever_its_content_type_says(content_type: str | None):
    progress, outcome = parse(b"\n\n " + whole(), content_type=content_type)
    assert told(progress) == [("text", "All is well"), ("usage", "")]
    assert outcome.is_done
    assert outcome.usage is not None
    assert outcome.usage.total_tokens == 3


def test_an_answer_in_one_piece_has_reasoning_and_tools_too():
    calls = [{"id": "c", "type": "function", "function": {"name": "shell", "arguments": '{"command":"df"}'}}]
    progress, _ = parse(whole("Done", reasoning_content="Hm", tool_calls=calls), content_type="application/json")
    assert [item.kind for item in progress][:3] == ["reasoning", "text", "tool.started"]


def test_an_error_with_a_good_status_is_a_failure():
    outcome = outcome_of(b'{"error":{"message":"model is loading"}}', content_type="application/json")
    assert failure_of(outcome) == "agent_error"
    assert "model is loading" in str(outcome.error)


def test_json_that_is_no_answer_or_no_json_is_told_as_such():
    assert failure_of(outcome_of(b'{"hello": "world"}', content_type="application/json")) == "agent_not_sse"
    assert failure_of(outcome_of(b'{"choices": [', content_type="application/json")) == "agent_bad_stream"
    assert failure_of(outcome_of(b"[" * 100_000, content_type="application/json")) == "agent_bad_stream"
    assert failure_of(outcome_of(b'{"cho', content_type="application/json", broken="reset")) == "agent_stream_truncated"


def test_json_of_unbounded_size_ends_the_answer():
    reader = parser(content_type="application/json")
    reader.feed(b'{"a": "' + b"x" * JSON_BODY_BYTES_MAX)
    assert reader.outcome is not None
    assert failure_of(reader.outcome) == "agent_bad_stream"


# --- reasoning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_in_a_field_of_its_own_is_not_part_of_the_result(field: str):
    progress, outcome = parse(sse(chunk(**{field: "Let me "}), chunk(**{field: "think"}), chunk("42")) + DONE)
    assert told(progress) == [("reasoning", "Let me think"), ("text", "42")]
    assert outcome.result == "42"


def test_an_endpoint_that_sends_both_fields_thinks_only_once():
    progress, _ = parse(sse(chunk(reasoning_content="Hm", reasoning="Hm"), chunk("42")) + DONE)
    assert told(progress) == [("reasoning", "Hm"), ("text", "42")]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_think_tags_are_found_however_the_deltas_cut_them(size: int):
    text = "\n<think>It is <b>6 * 7</b></thin></think>\n\nThe answer is 42."
    progress, outcome = parse(sse(*(chunk(text[at : at + size]) for at in range(0, len(text), size))) + DONE)
    assert told(progress) == [("reasoning", "It is <b>6 * 7</b></thin>"), ("text", "The answer is 42.")]
    assert outcome.result == "The answer is 42."


def test_an_answer_may_speak_about_think_tags():
    text = "Models use <think> and </think> tags."
    assert outcome_of(answer(text)).result == text


@pytest.mark.parametrize("text", ["<", "<thin", "<thing>", "a <think"])
def test_what_only_began_like_a_tag_is_text_after_all(text: str):
    assert outcome_of(sse(chunk(text)) + DONE).result == text


def test_an_agent_that_only_thought_has_no_answer():
    progress, outcome = parse(sse(chunk("<think>Hm"), chunk(finish="stop")) + DONE)
    assert told(progress) == [("reasoning", "Hm")]
    assert failure_of(outcome) == "agent_empty"
    assert "only thought" in str(outcome.error)


# --- tools ------------------------------------------------------------------------------------------------------------


def test_a_tool_is_shown_as_soon_as_its_arguments_are_complete_and_finished_when_the_agent_goes_on():
    reader = parser()
    begun = reader.feed(
        sse(
            tool_call(0, "c1", "shell"),
            tool_call(0, arguments='{"command":'),
            tool_call(0, arguments=' "echo \\"}\\""'),
        )
    )
    assert begun == []
    (started,) = reader.feed(sse(tool_call(0, arguments="}")))
    assert started.kind == "tool.started"
    assert (started.call_id, started.name, started.input) == ("c1", "shell", '{"command": "echo \\"}\\""}')
    assert [item.kind for item in reader.feed(sse(chunk("It said: }")))] == ["tool.finished", "text"]


def test_tools_used_at_the_same_time_are_told_apart_by_index():
    progress, _ = parse(
        sse(
            tool_call(0, "a", "read"),
            tool_call(1, "b", "list"),
            tool_call(1, arguments='{"dir":1}'),
            tool_call(0, arguments='{"file":2}'),
            chunk("Both done."),
        )
        + DONE
    )
    assert [(item.kind, item.call_id) for item in progress if item.kind != "text"] == [
        ("tool.started", "a"),
        ("tool.started", "b"),
        ("tool.finished", "a"),
        ("tool.finished", "b"),
    ]
    assert [item.input for item in progress if item.kind == "tool.started"] == ["", '{"dir":1}']


def test_the_arguments_of_two_tools_that_come_in_turns_are_joined_by_index():
    stream = sse(
        tool_call(0, "a", "read", '{"file":'),
        tool_call(0, arguments="2}"),
        tool_call(1, "b", "list", '{"dir":'),
        tool_call(1, arguments="1}"),
        chunk("ok"),
    )
    assert [item.input for item in parse(stream + DONE)[0] if item.kind == "tool.started"] == [
        '{"file":2}',
        '{"dir":1}',
    ]


@pytest.mark.parametrize("index", [0, None])
def test_endpoints_that_do_not_count_their_tools_are_told_apart_by_id(index: int | None):
    stream = sse(tool_call(index, "a", "read", "{}"), tool_call(index, "b", "list", "{}"), chunk("ok"))
    assert [item.call_id for item in parse(stream + DONE)[0] if item.kind == "tool.started"] == ["a", "b"]


def test_the_same_id_in_a_later_round_is_another_use():
    stream = sse(tool_call(0, "c", "read", "{}"), chunk("Hm."), tool_call(0, "c", "list", "{}"), chunk("ok"))
    progress, outcome = parse(stream + DONE)
    ids = [item.call_id for item in progress if item.kind == "tool.started"]
    assert len(set(ids)) == 2
    assert outcome.result == "Hm.\n\nok"


def test_an_id_that_is_repeated_in_each_fragment_is_one_use():
    stream = sse(tool_call(0, "c", "read", '{"a"'), tool_call(0, "c", "read", ":1}"), chunk("ok"))
    (started,) = [item for item in parse(stream + DONE)[0] if item.kind == "tool.started"]
    assert (started.name, started.input) == ("read", '{"a":1}')


def test_arguments_that_are_an_object_or_no_json_are_shown_all_the_same():
    call = {"index": 0, "function": {"name": "shell", "arguments": {"command": "df"}}}
    broken = tool_call(1, "b", "shell", "{not json")
    progress, _ = parse(sse(chunk(tool_calls=[call]), broken, chunk("ok")) + DONE)
    assert [item.input for item in progress if item.kind == "tool.started"] == ['{"command":"df"}', "{not json"]


def test_what_an_agent_says_its_tool_answered_is_shown_with_the_tool():
    said = [chunk(role="tool", tool_call_id="c1", content=text) for text in ("line 1\n", "line 2\n")]
    stream = sse(tool_call(0, "c1", "shell", "{}"), *said, tool_call(1, "c2", "shell", "{}"), chunk("Fine."))
    progress, outcome = parse(stream + DONE)
    assert [(item.kind, item.call_id or "") for item in gather(progress)] == [
        ("tool.started", "c1"),
        ("tool.output", "c1"),
        ("tool.finished", "c1"),
        ("tool.started", "c2"),
        ("tool.finished", "c2"),
        ("text", ""),
    ]
    assert outcome.result == "Fine."


def test_a_plan_is_a_plan_and_no_tool():
    plan = {"plan": [{"step": "Look", "status": "completed"}, {"step": "Tell", "status": "later"}, {"nonsense": 1}]}
    progress, _ = parse(sse(tool_call(0, "p", "update_plan", json.dumps(plan)), chunk("ok")) + DONE)
    assert [item.kind for item in progress] == ["plan", "text"]
    assert progress[0].items == (PlanItem(step="Look", status="completed"), PlanItem(step="Tell", status="pending"))


def test_a_model_that_waits_for_tools_that_nobody_runs_fails_with_that_reason():
    progress, outcome = parse(sse(tool_call(0, "c", "search", "{}"), chunk(finish="tool_calls")) + DONE)
    assert [item.kind for item in progress] == ["tool.started"]
    assert failure_of(outcome) == "agent_empty"
    assert "tools that nobody here runs" in str(outcome.error)


def test_hours_of_work_use_thousands_of_tools_in_one_answer():
    used = b"".join(
        sse(
            tool_call(0, f"c{at}", "shell", '{"command":"make"}'),
            chunk(role="tool", tool_call_id=f"c{at}", content="made"),
            chunk(f"{at} done. ") if at % 2 else chunk(),
        )
        for at in range(5_000)
    )
    progress, outcome = parse(used + sse(chunk("All done.", finish="stop")) + DONE)
    assert outcome.error is None
    assert [item.call_id for item in progress if item.kind == "tool.finished"] == [f"c{at}" for at in range(5_000)]


def test_arguments_and_tools_without_end_end_the_answer():
    flood = sse(*[tool_call(0, "c", "shell", "x" * 100_000)] * 12)
    assert failure_of(outcome_of(flood)) == "agent_bad_stream"
    many = sse(*(tool_call(at, f"c{at}", "shell", "{}") for at in range(TOOL_CALLS_MAX + 1)))
    assert failure_of(outcome_of(many)) == "agent_bad_stream"


# --- answers that end badly -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "agent_redirected"),
        (400, "agent_rejected"),
        (401, "agent_unauthorized"),
        (402, "agent_rejected"),
        (403, "agent_unauthorized"),
        (404, "agent_not_found"),
        (405, "agent_not_found"),
        (413, "agent_rejected"),
        (422, "agent_rejected"),
        (429, "agent_busy"),
        (500, "agent_error"),
        (502, "agent_error"),
        (503, "agent_busy"),
        (504, "agent_error"),
    ],
)
def test_each_refusal_has_its_own_code_and_says_what_the_endpoint_said(status: int, code: str):
    body = b'{"error":{"message":"No such thing.","type":"x"}}'
    outcome = outcome_of(body, status=status, content_type="application/json")
    assert failure_of(outcome) == code
    if code != "agent_redirected":
        assert "No such thing" in str(outcome.error)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "why"}',
        b'{"message": "why"}',
        b'{"detail": "why"}',
        b'{"detail": [{"loc": ["body"], "msg": "why"}]}',
        b'{"error": {"message": "why"}}',
        b'[{"error": {"message": "why"}}]',
        b"why",
    ],
)
def test_the_reason_is_found_in_every_shape(body: bytes):
    assert ": why." in str(outcome_of(body, status=400, content_type="application/json").error)


def test_a_web_page_is_not_quoted_in_a_sentence():
    outcome = outcome_of(b"<html><h1>Bad Gateway</h1></html>", status=502, content_type="text/html; charset=utf-8")
    assert "<" not in str(outcome.error)


def test_control_characters_of_an_endpoint_do_not_reach_a_sentence():
    said = json.dumps({"error": {"message": "a\x1b[31m\nb\u202ec" + "x" * 1000}}).encode()
    message = str(outcome_of(said, status=400).error)
    assert message.isprintable()
    assert len(message) < 800


def test_openclaw_with_its_endpoint_switched_off_says_which_setting_to_change():
    outcome = outcome_of(b"Not Found", status=404, content_type="text/plain", kind="openclaw")
    assert "gateway.http.endpoints.chatCompletions.enabled" in str(outcome.error)


def test_the_body_of_a_refusal_costs_bounded_memory():
    reader = parser(status=500, content_type="text/plain")
    reader.feed(b"x" * ERROR_BODY_BYTES_MAX)
    assert reader.outcome is not None


@pytest.mark.parametrize(
    "error",
    [
        sse({"error": {"message": "out of memory", "code": 500}}),
        sse({"error": "out of memory"}),
        sse({"object": "error", "message": "out of memory"}),
        b'event: error\ndata: {"message": "out of memory"}\n\n',
        b"event: error\ndata: out of memory\n\n",
        sse({"error": {"message": "out of memory"}, "choices": chunk(finish="error")["choices"]}),
    ],
)
def test_an_error_in_mid_stream_keeps_what_came_before(error: bytes):
    progress, outcome = parse(sse(chunk("So far")) + error)
    assert failure_of(outcome) == "agent_error"
    assert "out of memory" in str(outcome.error)
    assert outcome.result == "So far"
    assert told(progress) == [("text", "So far")]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "text/html"),
        (b"  \n<html>", "text/event-stream"),
        (b"Sign in first", "text/html"),
        (b"It works!", "text/plain"),
        (b"data centre offline", "text/plain"),
    ],
)
def test_a_page_that_answers_with_status_200_is_no_agent(body: bytes, content_type: str):
    assert failure_of(outcome_of(body, content_type=content_type)) == "agent_not_sse"


def test_a_stream_that_just_ends_is_truncated_and_what_came_is_kept():
    outcome = outcome_of(sse(chunk("So far")))
    assert failure_of(outcome) == "agent_stream_truncated"
    assert outcome.result == "So far"
    assert failure_of(outcome_of(b"")) == "agent_stream_truncated"


def test_a_broken_connection_says_why():
    outcome = outcome_of(sse(chunk("So far")), broken="connection reset by peer.")
    assert failure_of(outcome) == "agent_stream_truncated"
    assert "(connection reset by peer)" in str(outcome.error)


def test_a_silent_agent_is_told_from_a_broken_one():
    reader = parser()
    reader.feed(sse(chunk("So far")))
    reader.finish(error=went_silent(1800))
    assert reader.outcome is not None
    assert failure_of(reader.outcome) == "agent_silent"
    assert reader.outcome.result == "So far"


@pytest.mark.parametrize(
    "bad",
    [
        b'data: {"choices": [\n\n',
        b"data: hello\n\n",
        b"data: 42\n\n",
        b"data: null\n\n",
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"data: " + b"x" * 5_000_000,
    ],
    ids=["cut", "text", "number", "null", "utf-8", "deep", "endless"],
)
def test_what_cannot_be_read_ends_the_answer_and_keeps_what_came_before(bad: bytes):
    progress, outcome = parse(sse(chunk("<think>Hm</think>So far"), chunk(" <")) + bad)
    assert failure_of(outcome) == "agent_bad_stream"
    assert outcome.result == "So far <"
    assert told(progress) == [("reasoning", "Hm"), ("text", "So far <")]


def test_events_of_another_protocol_are_told_as_such():
    stream = sse({"type": "response.created"}, {"type": "response.completed"})
    assert failure_of(outcome_of(stream)) == "agent_bad_stream"


def test_an_answer_without_end_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openai_chat, "RESPONSE_BYTES_MAX", 1000)
    reader = parser()
    stream = sse(chunk("So far")) + b": keep-alive\n" * 100
    assert [item.text for item in reader.feed(stream)] == ["So far"]
    assert reader.outcome is not None
    assert failure_of(reader.outcome) == "agent_bad_stream"


@pytest.mark.parametrize(
    ("reason", "code"),
    [("length", "agent_cut_short"), ("content_filter", "agent_content_filter"), ("error", "agent_error")],
)
def test_half_an_answer_is_never_taken_for_a_whole_one(reason: str, code: str):
    progress, outcome = parse(sse(chunk("Half of"), chunk(finish=reason)) + DONE)
    assert failure_of(outcome) == code
    assert outcome.result == "Half of"
    if reason != "error":
        assert progress[-1].kind == "notice"


@pytest.mark.parametrize("stream", [DONE, sse(chunk(role="assistant"), chunk(finish="stop")), sse(chunk(" \n")) + DONE])
def test_no_answer_is_a_failure_too(stream: bytes):
    assert failure_of(outcome_of(stream)) == "agent_empty"


def test_an_empty_body_is_no_answer():
    assert failure_of(outcome_of(status=204, content_type=None)) == "agent_empty"


def test_every_failure_says_what_to_do():
    assert "127.0.0.1" in unreachable("http://127.0.0.1:1/v1", "connection refused").message
    for failure in FAILURES:
        assert failure.code.startswith("agent_")
        assert failure.sentence.endswith(".")


# --- asking again -----------------------------------------------------------------------------------------------------

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def busy(status: int = 429, retry_after: str | None = None, said: bytes = b"busy") -> Outcome:
    return outcome_of(said, status=status, content_type="text/plain", retry_after=retry_after)


def again(outcome: Outcome, attempt: Attempt | None = None) -> Attempt | None:
    return next_attempt(attempt or Attempt(), outcome, now=NOW, jitter=1.0)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_endpoint_is_asked_again_and_people_are_told(status: int):
    attempt = again(busy(status))
    assert attempt is not None
    assert (attempt.number, attempt.wait_ms) == (2, 1000)
    assert "again in 1 s" in attempt.notice


@pytest.mark.parametrize(
    ("retry_after", "wait_ms"),
    [("7", 7000), ("Sun, 01 Mar 2026 12:00:30 GMT", 30_000), ("Sun, 01 Mar 2026 11:00:00 GMT", 1000), ("soon", 1000)],
)
def test_the_wait_is_at_least_what_the_endpoint_asks_for(retry_after: str, wait_ms: int):
    attempt = again(busy(retry_after=retry_after))
    assert attempt is not None
    assert attempt.wait_ms == wait_ms


def test_a_wait_that_is_too_long_is_left_to_a_person():
    outcome = busy(retry_after="3600")
    assert again(outcome) is None
    assert "asks to wait 3600 s" in str(outcome.error)


def test_waits_grow_stay_bounded_and_end():
    attempt, waits = Attempt(), list[int]()
    while (following := again(busy(), attempt)) is not None:
        attempt = following
        waits.append(attempt.wait_ms)
    assert waits == sorted(set(waits))
    assert len(waits) == ATTEMPTS_MAX - 1
    assert waits[-1] <= RETRY_WAIT_MS_MAX


@given(st.floats(0, 1), st.integers(1, ATTEMPTS_MAX - 1))
def test_jitter_only_shortens_a_wait(jitter: float, number: int):
    full = next_attempt(Attempt(number), busy(), now=NOW, jitter=1.0)
    some = next_attempt(Attempt(number), busy(), now=NOW, jitter=jitter)
    assert full is not None
    assert some is not None
    assert full.wait_ms // 2 <= some.wait_ms <= full.wait_ms


def test_an_exhausted_quota_is_not_worth_a_wait():
    assert again(busy(said=b'{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}')) is None


@pytest.mark.parametrize("said", [b"Unknown field: stream_options", b"Extra inputs are not permitted"])
def test_an_endpoint_that_refuses_the_usage_option_is_asked_once_without_it(said: bytes):
    refused = outcome_of(said, status=400, content_type="text/plain")
    attempt = again(refused)
    assert attempt is not None
    assert (attempt.include_usage, attempt.wait_ms) == (False, 0)
    assert again(refused, attempt) is None


def test_nothing_is_asked_again_for_another_reason_or_after_the_first_byte():
    assert again(outcome_of(b"context too long", status=400, content_type="text/plain")) is None
    assert again(outcome_of(b"", status=500)) is None
    assert again(outcome_of(sse({"error": {"message": "busy", "code": 429}}))) is None
    assert again(outcome_of(sse(chunk("So far")))) is None
    assert again(outcome_of(answer("fine"))) is None


# --- any split, and going on after a restart --------------------------------------------------------------------------


def pieces() -> st.SearchStrategy[bytes]:
    """Events of every kind, good and bad, in an order that no endpoint would choose."""
    text = st.sampled_from(["word ", "<think>", "</think>", "<th", "ink>", "é🚀", "\n", " ", "</thi"])
    ids = st.sampled_from([None, "a", "b"])
    arguments = st.sampled_from(["", "{", "}", '{"a":"}"}', '"\\"', "x"])
    fragments = st.tuples(st.sampled_from([0, 1]), ids, st.just("shell"), arguments)
    good = st.one_of(
        text.map(chunk),
        text.map(lambda word: chunk(reasoning=word)),
        fragments.map(lambda fragment: tool_call(*fragment)),
        st.tuples(ids, text).map(lambda it: chunk(role="tool", tool_call_id=it[0] or "a", content=it[1])),
        st.just(tool_call(2, "p", "update_plan", '{"plan":[{"step":"Look"}]}')),
        st.just(usage(1, 2)),
        st.sampled_from(["stop", "length", "tool_calls"]).map(lambda reason: chunk(finish=reason)),
    ).map(sse)
    rare = st.sampled_from(
        [DONE, b": ping\r\n\r\n", sse({"error": {"message": "no"}}), b"data: \xff\n\n", b"data: x\n\n"]
    )
    return st.one_of(good, good, good, good, rare)


streams = st.lists(pieces(), max_size=15).map(b"".join)
bodies = st.one_of(
    streams,
    st.tuples(streams, st.integers(0, 400)).map(lambda it: it[0][: it[1]]),
    st.sampled_from(
        [whole(), whole()[:-5], b"<html>", b"\xef\xbb\xbf" + answer("x"), b"\xef\xbb\xbf" + whole(), b" \n"]
    ),
)
heads = st.sampled_from([(200, "text/event-stream"), (200, "application/json"), (200, "text/plain"), (429, None)])


@given(bodies, heads, st.data())
def test_any_split_of_an_answer_gives_the_same_progress_and_outcome(
    body: bytes, head: tuple[int, str | None], data: st.DataObject
):
    given_head: dict[str, Any] = {"status": head[0], "content_type": head[1]}
    at_once = parse(body, **given_head)
    reads: list[bytes] = []
    rest = body
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        reads.append(rest[:cut])
        rest = rest[cut:]
    assert parse(*reads, **given_head) == at_once
    assert [item.up_to for item in at_once[0]] == sorted(item.up_to for item in at_once[0])
    assert all(0 < item.up_to <= len(body) + 1 for item in at_once[0])


@given(bodies, st.data())
def test_after_a_restart_exactly_what_is_missing_is_said(body: bytes, data: st.DataObject):
    everything, outcome = parse(body)
    read = data.draw(st.integers(0, len(body)), label="bytes that were stored before the crash")
    before = parser()
    said = before.feed(body[:read])
    silent_until = said[-1].up_to if said else 0
    after, same_outcome = parse(body[:read], body[read:], silent_until=silent_until)
    assert said + after == everything
    assert same_outcome == outcome


@given(bodies, st.data())
def test_gathered_items_of_an_append_can_be_resumed_too(body: bytes, data: st.DataObject):
    everything, _ = parse(body)
    ends = sorted({item.up_to for item in everything})
    for up_to in data.draw(st.lists(st.sampled_from(ends), max_size=3)) if ends else []:
        missing, _ = parse(body, silent_until=up_to)
        assert missing == [item for item in everything if item.up_to > up_to]


def test_a_second_attempt_counts_on_where_the_first_one_ended():
    stream = answer("x")
    progress, _ = parse(stream, start=100)
    assert [item.up_to for item in progress] == [item.up_to + 100 for item in parse(stream)[0]]
    assert parse(stream, start=100, silent_until=101)[0] == progress
