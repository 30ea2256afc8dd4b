// Does moves: one task or many, with the question first where there is no way back, and one sentence afterwards where
// the screen does not show by itself what happened.

import { asProblem } from './api/errors';
import { app } from './app';
import { plural } from './format';
import { allows, type Move } from './moves';
import { router } from './router';
import { asks } from './state/asks.svelte';
import { type Failure, failures } from './state/failures.svelte';
import type { TaskState } from './state/tasks.svelte';
import { titleOf } from './titles';

/** Requests at a time; more would only wait in the browser. */
const AT_ONCE = 6;

/** Asks where it must, then does it. */
export function order(move: Move, tasks: readonly TaskState[]): Promise<void> {
  const able = tasks.filter((task) => allows(task.status, move));
  if (!able.length) return Promise.resolve();
  if (move === 'reject') asks.open({ kind: 'reject', tasks: able });
  else if (move === 'cancel' && able.some((task) => task.status === 'running'))
    asks.open({ kind: 'cancel', tasks: able });
  else if (move === 'archive' && (able.length > 1 || able.some((task) => task.status === 'pending'))) askArchive(able);
  else return carryOut(move, able);
  return Promise.resolve();
}

function askArchive(tasks: readonly TaskState[]): void {
  const [first] = tasks;
  const isOne = tasks.length === 1;
  const pending = tasks.filter((task) => task.status === 'pending').length;
  const who = isOne && first ? `“${titleOf(first)}”` : plural(pending, 'task');
  const cancelled = pending
    ? `${who} ${pending === 1 ? 'has not run and is' : 'have not run and are'} cancelled. `
    : '';
  asks.open({
    kind: 'confirm',
    title: isOne ? 'Archive this task?' : `Archive ${tasks.length} tasks?`,
    detail: `${cancelled}${isOne ? 'It leaves' : 'All of them leave'} the board; the log keeps ${isOne ? 'it' : 'them'}. This cannot be undone.`,
    label: isOne ? 'Archive task' : 'Archive tasks',
    run: () => carryOut('archive', tasks),
  });
}

/** Does it without asking. */
export async function carryOut(
  move: Move,
  tasks: readonly TaskState[],
  feedback?: string,
  retry?: boolean,
): Promise<void> {
  const failed: Failure[] = [];
  const waiting = [...tasks];
  let last: TaskState | null = null;
  const work = async () => {
    for (let task = waiting.shift(); task; task = waiting.shift()) {
      try {
        last = (await one(move, task, feedback, retry)) ?? last;
      } catch (error) {
        failed.push({ task, problem: asProblem(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, tasks.length) }, work));
  report(move, tasks, failed, last);
}

async function one(move: Move, task: TaskState, feedback?: string, retry?: boolean): Promise<TaskState | null> {
  switch (move) {
    case 'run':
      return app.tasks.run(task.id);
    case 'cancel':
      return app.tasks.cancel(task.id);
    case 'approve':
      return app.tasks.review(task.id, 'approve');
    case 'reject':
      return app.tasks.review(task.id, 'reject', feedback, retry);
    case 'retry':
      return app.tasks.retry(task.id);
    case 'archive':
      await app.tasks.archive(task.id);
      return null;
  }
}

const DONE_WORDS: Record<Move, string> = {
  run: 'started',
  cancel: 'cancelled',
  approve: 'approved',
  reject: 'rejected',
  retry: 'made anew, pending',
  archive: 'archived',
};

function report(move: Move, tasks: readonly TaskState[], failed: readonly Failure[], last: TaskState | null): void {
  const [failure] = failed;
  if (failure && tasks.length === 1) {
    app.toasts.error(failure.problem);
    return;
  }
  if (failure) {
    // Each task has its own reason: a sentence that fades would hide all but one.
    failures.current = { move, total: tasks.length, failures: failed };
    const done = tasks.length - failed.length;
    if (done) app.toasts.say(`${plural(done, 'task')} ${DONE_WORDS[move]}`, { tone: 'good' });
    return;
  }
  failures.close();
  if (tasks.length > 1) app.toasts.say(`${plural(tasks.length, 'task')} ${DONE_WORDS[move]}`, { tone: 'good' });
  else if (move === 'retry' && last) {
    const made = last;
    app.toasts.say('A new pending task was made', {
      action: { label: 'Open', run: () => router.go(`/tasks/${made.id}`) },
    });
  } else if (move === 'archive') app.toasts.say('Archived. The log keeps it.');
}
