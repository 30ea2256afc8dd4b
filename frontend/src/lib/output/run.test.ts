import { beforeEach, describe, expect, test } from 'vitest';
import type { LogEvent } from '../api/types';
import type { Handlers } from '../live/socket';
import type { Subscription } from '../live/wire';
import { Run } from './run.svelte';

/** A socket that remembers who subscribed and lets the test play the server. */
class FakeSocket {
  subscriptions: { subscription: Subscription; handlers: Handlers; isOpen: boolean }[] = [];

  subscribe(subscription: Subscription, handlers: Handlers): () => void {
    const entry = { subscription, handlers, isOpen: true };
    this.subscriptions.push(entry);
    return () => {
      entry.isOpen = false;
    };
  }

  get open() {
    return this.subscriptions.filter((entry) => entry.isOpen);
  }
}

const event = (type: string, payload: Record<string, unknown>): LogEvent => ({
  seq: 1,
  at: '2026-11-24T14:00:00.000000Z',
  type,
  actor: null,
  payload,
});
const output = (position: number, text: string) =>
  event('task.output', { stream: 'stdout', position, length: text.length, line: 0, ms: 0, text });

let socket: FakeSocket;
let run: Run;

beforeEach(() => {
  socket = new FakeSocket();
  run = new Run();
});

test('a run is read from its beginning, with all of its output', () => {
  run.follow(socket, 'task_1');
  expect(socket.open[0]?.subscription).toMatchObject({ after: 0, taskId: 'task_1', output: 'full' });
});

test('history that comes twice is shown once', () => {
  run.take([output(0, 'one\n'), output(4, 'two\n')]);
  run.take([output(4, 'two\n'), output(8, 'three\n')]);
  expect([0, 1, 2].map((line) => run.lines.text(line))).toEqual(['one', 'two', 'three']);
  expect(run.lines.count).toBe(3);
});

test('what the agent said becomes its transcript', () => {
  run.take([
    event('task.response', { status: 200, contentType: 'text/event-stream' }),
    event('task.progress', { kind: 'text', upTo: 1, text: 'Hel' }),
    event('task.progress', { kind: 'text', upTo: 2, text: 'lo' }),
  ]);
  expect(run.transcript.blocks).toMatchObject([{ kind: 'text', text: 'Hello' }]);
  expect(run.response?.status).toBe(200);
});

describe('a log that was replaced', () => {
  test('is read anew, and what was shown before is gone', () => {
    const stop = run.follow(socket, 'task_1');
    run.take([output(0, 'old\n')]);
    socket.open[0]?.handlers.reset?.();
    expect(run.lines.count).toBe(0);
    expect(socket.open).toHaveLength(1);
    socket.open[0]?.handlers.events?.([output(0, 'new\n')], 9);
    expect(run.lines.text(0)).toBe('new');
    stop();
    expect(socket.open).toHaveLength(0);
  });
});

test('silence counts from what this page heard, not from history', () => {
  run.follow(socket, 'task_1');
  run.take([output(0, 'old\n')]);
  expect(run.heardAt).toBeNull();
  socket.open[0]?.handlers.live?.();
  run.take([output(4, 'now\n')]);
  expect(run.heardAt).not.toBeNull();
});
