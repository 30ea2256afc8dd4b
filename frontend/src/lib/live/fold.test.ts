import { describe, expect, it } from 'vitest';
import type { LogEvent } from '../api/types';
import { changeOf, foldInto, isNews } from './fold';

let seq = 0;
// biome-ignore lint/suspicious/noExplicitAny: payloads differ by type.
function event(type: string, payload: Record<string, any>): LogEvent {
  seq += 1;
  return { seq, at: '2026-11-24T10:00:00.000000Z', type, actor: null, payload };
}

const created = () => event('task.created', { taskId: 'task_1', status: 'pending', content: 'ls', version: 1 });
const started = () =>
  event('task.started', { taskId: 'task_1', desktopId: 'desk_1', status: 'running', version: 2, phase: 'queued' });
const done = () =>
  event('task.completed', {
    taskId: 'task_1',
    desktopId: 'desk_1',
    status: 'done',
    version: 3,
    exitCode: 0,
    phase: null,
  });

function fold(events: LogEvent[]) {
  const tasks = new Map();
  for (const it of events) foldInto(tasks, it);
  return tasks.get('task_1');
}

describe('the fold', () => {
  it('makes a task from its creation and gives it an id', () => {
    expect(fold([created()])).toEqual({ id: 'task_1', status: 'pending', content: 'ls', version: 1 });
  });

  it('applies what changed and keeps the rest', () => {
    expect(fold([created(), started(), done()])).toMatchObject({
      content: 'ls',
      status: 'done',
      exitCode: 0,
      phase: null,
      version: 3,
    });
  });

  it('changes nothing when events come twice', () => {
    const history = [created(), started(), done()];
    expect(fold([...history, ...history])).toEqual(fold(history));
  });

  it('ignores events that a snapshot already shows', () => {
    const tasks = new Map([['task_1', { id: 'task_1', status: 'done', version: 3 }]]);
    foldInto(tasks, started());
    expect(tasks.get('task_1')).toEqual({ id: 'task_1', status: 'done', version: 3 });
  });

  it('makes nothing of a change to a task that is not known', () => {
    expect(fold([started()])).toBeUndefined();
    expect(isNews(undefined, changeOf(started()) as NonNullable<ReturnType<typeof changeOf>>)).toBe(false);
  });

  it('does not take a desktop for the task that its event names', () => {
    expect(changeOf(started())).toMatchObject({ entity: 'task', id: 'task_1' });
    expect(
      changeOf(event('desktop.link', { desktopId: 'desk_1', name: 'a', status: 'running', version: 4, link: 'up' })),
    ).toMatchObject({
      entity: 'desktop',
      id: 'desk_1',
      version: 4,
    });
  });

  it('leaves output, progress and notes alone', () => {
    for (const type of ['task.output', 'task.progress', 'task.response', 'task.note', 'task.outputGap']) {
      expect(changeOf(event(type, { taskId: 'task_1', version: 9 }))).toBeNull();
    }
  });

  it('ignores types that it does not know', () => {
    expect(changeOf(event('settings.updated', { taskApprovalMode: true }))).toBeNull();
    expect(changeOf(event('weather.changed', {}))).toBeNull();
  });

  it('takes the decision on an approval as later than its creation', () => {
    const approval = { approvalId: 'appr_1', id: 'appr_1', taskId: 'task_1' };
    expect(changeOf(event('approval.created', { ...approval, status: 'pending' }))).toMatchObject({
      id: 'appr_1',
      version: 1,
    });
    expect(changeOf(event('approval.resolved', { ...approval, status: 'approved' }))).toMatchObject({
      id: 'appr_1',
      version: 2,
    });
  });
});
