import { describe, expect, it } from 'vitest';
import type { LogEvent } from '../api/types';
import { type KnownLines, lineOf, linesOf } from './sentences';

const names = { task: (id: string) => `Task ${id}`, desktop: (id: string) => id };
let seq = 0;
// biome-ignore lint/suspicious/noExplicitAny: payloads differ by type.
function event(type: string, payload: Record<string, any>, seconds = 0, actor = 'Mia'): LogEvent {
  seq += 1;
  return {
    seq,
    at: new Date(1_700_000_000_000 + seconds * 1000).toISOString(),
    type,
    actor: { id: actor, name: actor },
    payload,
  };
}
const started = (id: string, seconds = 0, actor = 'Mia') =>
  event('task.started', { taskId: id, desktopId: `ci-${id}` }, seconds, actor);

describe('the activity', () => {
  it('tells what happened, to what, where and by whom', () => {
    expect(linesOf([started('1')], names)).toMatchObject([
      { subject: 'Task 1', words: 'started', desktop: 'ci-1', actor: 'Mia', href: '/tasks/1' },
    ]);
  });

  it('says why something failed', () => {
    const [line] = linesOf(
      [
        event('task.failed', {
          taskId: '1',
          desktopId: 'a',
          exitCode: 127,
          signal: null,
          durationMs: 3_000,
          error: null,
        }),
      ],
      names,
    );
    expect(line).toMatchObject({
      words: 'failed after 3.0\u00a0s',
      detail: 'exit 127: command not found',
      tone: 'failed',
    });
  });

  it('tells a burst in one line', () => {
    const lines = linesOf(
      ['1', '2', '3', '4', '5'].map((id) => started(id)),
      names,
    );
    expect(lines).toMatchObject([{ subject: '5 tasks', words: 'started', desktop: 'ci-1, ci-2 and 3 more', count: 5 }]);
  });

  it('tells sign-ins of one person in one line, also over a while', () => {
    const signedIn = (method: string, seconds: number, actor = 'Mia') =>
      event('auth.signedIn', { method }, seconds, actor);
    const byLink = [0, 300, 600, 900].map((seconds) => signedIn('link', seconds));
    expect(linesOf(byLink, names)).toMatchObject([
      { subject: null, words: 'signed in with a link 4 times', actor: 'Mia', desktop: null, count: 4 },
    ]);
    expect(linesOf([...byLink, signedIn('key', 900), signedIn('link', 900, 'Jo')], names)).toMatchObject([
      { words: 'signed in 5 times', actor: 'Mia', count: 5 },
      { words: 'signed in with a link', actor: 'Jo', count: 1 },
    ]);
    expect(linesOf([...byLink.slice(1), signedIn('link', 5_000)], names)).toHaveLength(4);
  });

  it('does not join what others did, or what happened later', () => {
    const lines = linesOf(
      [started('1'), started('2'), started('3', 0, 'Jo'), started('4', 0, 'Jo'), started('5', 60), started('6', 120)],
      names,
    );
    expect(lines).toHaveLength(6);
  });

  it('says what of a desktop was changed', () => {
    const change = event('desktop.updated', { desktopId: 'a', name: 'ci', labels: [], maxConcurrentTasks: 2 });
    expect(lineOf(change, names)).toMatchObject({
      subject: 'ci',
      words: 'changed',
      detail: 'labels, tasks at a time',
    });
  });

  it('leaves out what the task tells itself', () => {
    expect(linesOf([event('task.phase', { taskId: '1' }), event('approval.created', { taskId: '1' })], names)).toEqual(
      [],
    );
  });

  it('tells what is trusted for many hosts, and that secrets were sealed anew', () => {
    const host = { marker: 'cert-authority', hosts: ['*.lab', '!old.lab'], fingerprint: 'SHA256:x' };
    const lines = linesOf(
      [
        event('sealKey.changed', { secrets: 1 }),
        event('knownHost.removed', { ...host, marker: 'revoked' }),
        event('knownHost.added', host),
      ],
      names,
    );
    expect(lines.map((line) => line.words).sort()).toEqual([
      'Host authority trusted for *.lab, !old.lab',
      'Key not revoked any more for *.lab, !old.lab',
      'Seal key changed: 1 secret sealed anew',
    ]);
    expect(lines.some((line) => line.detail === 'SHA256:x')).toBe(true);
  });

  it('shows a type that it does not know by its name', () => {
    expect(linesOf([event('weather.changed', {})], names)).toMatchObject([{ words: 'weather.changed', href: null }]);
  });
});

describe('lines that are made again', () => {
  it('are the same objects unless they say something else', () => {
    const known: KnownLines = new WeakMap();
    const events = [started('1'), started('2')];
    const before = linesOf(events, names, known);
    const [first, second, third] = linesOf([...events, started('3')], names, known);
    expect([first, second].map((line, index) => line === before[index])).toEqual([true, true]);
    expect(third?.subject).toBe('Task 3');
    const signIns = [1, 2, 3, 4, 5].map(() => event('auth.signedIn', { method: 'key' }));
    linesOf(signIns.slice(0, 4), names, known);
    expect(linesOf(signIns, names, known)).toMatchObject([{ words: 'signed in with a key 5 times' }]);
    const renamed = { ...names, desktop: () => 'another' };
    expect(linesOf(events, renamed, known)[0]).toMatchObject({ subject: 'Task 1', desktop: 'another' });
  });
});
