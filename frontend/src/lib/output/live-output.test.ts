import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { LogEvent } from '../api/types';
import type { Handlers } from '../live/socket';
import type { Subscription } from '../live/wire';
import { FakeRun } from './fake-run';
import { LiveOutput } from './live-output';

let run: FakeRun;
let output: LiveOutput;
let subscription: Subscription;
let handlers: Handlers;

const socket = {
  subscribe(wanted: Subscription, given: Handlers): () => void {
    subscription = wanted;
    handlers = given;
    return () => {};
  },
};
const settled = () => vi.advanceTimersByTimeAsync(0);
const push = () => handlers.tail?.([{ taskId: 'task_1', bytes: 0, ...run.frame() }]);

beforeEach(() => {
  vi.useFakeTimers();
  run = new FakeRun().fill(500);
  output = new LiveOutput(run);
});

afterEach(() => {
  output.keeper.stop();
  vi.useRealTimers();
});

test('a command is read from its end, and its newest lines are followed', async () => {
  output.follow(socket, 'task_1', false, false);
  await settled();
  expect(subscription).toMatchObject({ taskId: 'task_1', output: 'tail' });
  expect(output.pages.at(499)?.text).toBe('line 499');
  run.fill(3);
  push();
  expect(output.pages.count).toBe(503);
  expect(output.pages.at(502)?.text).toBe('line 502');
});

test('what came while the connection was lost is there when it is back', async () => {
  output.follow(socket, 'task_1', false, false);
  await settled();
  run.fill(1000);
  handlers.live?.();
  await settled();
  expect(output.pages.count).toBe(1500);
  expect(output.pages.at(1499)?.text).toBe('line 1499');
});

test('the end of the run brings what was printed last', async () => {
  output.follow(socket, 'task_1', false, false);
  await settled();
  run.write('bye');
  output.end();
  await settled();
  expect(output.pages.count).toBe(501);
  expect(output.pages.wholeCount).toBe(501);
  expect(output.pages.at(500)?.text).toBe('bye');
});

test('a log that was replaced is read anew', async () => {
  output.follow(socket, 'task_1', false, false);
  await settled();
  run.written.length = 0;
  run.fill(2, () => 'new');
  handlers.reset?.();
  handlers.live?.();
  await settled();
  expect(output.pages.count).toBe(2);
  expect(output.pages.at(1)?.text).toBe('new');
});

test("a prompt's raw answer is followed piece by piece", async () => {
  run = new FakeRun();
  run.write('data: {"a"', 'response');
  output = new LiveOutput(run);
  output.follow(socket, 'task_1', true, false);
  await settled();
  expect(subscription).toMatchObject({ output: 'full', types: ['task.output'] });
  const piece = (line: number, text: string): LogEvent => ({
    seq: 1,
    at: '',
    type: 'task.output',
    actor: null,
    payload: { stream: 'response', line, ms: 5, text },
  });
  handlers.events?.([piece(0, ':1}\n\ndata: '), piece(2, 'more\n')], 1);
  expect([0, 1, 2].map((line) => output.pages.at(line)?.text)).toEqual(['data: {"a":1}', '', 'data: more']);
  expect(output.pages.count).toBe(3);
});
