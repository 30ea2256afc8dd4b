import { describe, expect, it } from 'vitest';
import type { LogEvent } from '../api/types';
import { type NoticeNames, noticesOf } from './notices';

const names: NoticeNames = {
  me: 'mia',
  task: (id) => ({ title: `Title of ${id}`, createdBy: id.startsWith('mine') ? 'mia' : 'tom' }),
  desktop: () => 'build-7',
};
let seq = 0;
const event = (type: string, payload: Record<string, unknown>, actor = 'system'): LogEvent => ({
  seq: ++seq,
  at: '2026-11-24T12:00:00Z',
  type,
  actor: { id: actor, name: actor },
  payload,
});

describe('a notification', () => {
  it('tells of a task that waits for a decision, and opens the decision', () => {
    expect(noticesOf([event('approval.created', { taskId: 'tom-1' })], names)).toEqual([
      { tag: 'tom-1', title: 'Waits for your decision', body: 'Title of tom-1', path: '/approvals/tom-1' },
    ]);
  });

  it('tells of the end of one’s own task, and why it failed', () => {
    const failed = event('task.failed', { taskId: 'mine-1', exitCode: 127, signal: null });
    expect(noticesOf([failed], names)).toMatchObject([{ title: 'Failed: exit 127: command not found' }]);
    expect(noticesOf([event('task.completed', { taskId: 'mine-1' })], names)).toMatchObject([{ title: 'Done' }]);
  });

  it('is silent about others’ tasks, and about what one did oneself', () => {
    expect(noticesOf([event('task.completed', { taskId: 'tom-1' })], names)).toEqual([]);
    expect(noticesOf([event('task.completed', { taskId: 'mine-1' }, 'mia')], names)).toEqual([]);
    expect(noticesOf([event('task.started', { taskId: 'mine-1' })], names)).toEqual([]);
  });

  it('tells of a lost desktop, not of one that reconnects', () => {
    expect(noticesOf([event('desktop.link', { desktopId: 'd', link: 'down' })], names)).toMatchObject([
      { title: 'A desktop is lost', body: 'build-7', path: '/desktops/d' },
    ]);
    expect(noticesOf([event('desktop.link', { desktopId: 'd', link: 'reconnecting' })], names)).toEqual([]);
  });

  it('is one for each task, the newest', () => {
    const both = [
      event('approval.created', { taskId: 'mine-1' }),
      event('task.completed', { taskId: 'mine-1' }, 'tom'),
    ];
    expect(noticesOf(both, names)).toMatchObject([{ tag: 'mine-1', title: 'Done' }]);
  });

  it('is one for very many', () => {
    const many = Array.from({ length: 40 }, (_, index) => event('approval.created', { taskId: `t${index}` }));
    expect(noticesOf(many, names)).toEqual([
      { tag: 'several', title: '40 things happened', body: '40 tasks wait for your decision', path: '/approvals' },
    ]);
  });
});
