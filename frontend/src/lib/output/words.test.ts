import { expect, test } from 'vitest';
import { awayWords, endTone, endWords, phaseWords, silenceWords } from './words';

const ended = {
  type: 'command',
  status: 'failed',
  exitCode: 1,
  signal: null,
  durationMs: 192_000,
  error: null,
} as const;

test('the end of a command', () => {
  expect(endWords(ended)).toBe('Process exited 1 after 3 min 12 s');
  expect(endWords({ ...ended, exitCode: 127 })).toBe('Process exited 127: command not found after 3 min 12 s');
  expect(endWords({ ...ended, exitCode: null, signal: 'TERM' })).toBe('Process killed by SIGTERM after 3 min 12 s');
  expect(endWords({ ...ended, status: 'done', exitCode: 0 })).toBe('Process exited 0 after 3 min 12 s');
  expect(endWords({ ...ended, exitCode: null })).toBe('Ended after 3 min 12 s without an exit code');
  expect(endTone(ended)).toBe('bad');
});

test('silence is said after five seconds', () => {
  expect(silenceWords(1000, 5000, true)).toBe('');
  expect(silenceWords(1000, 43_500, true)).toBe('Last line 42 s ago');
  expect(silenceWords(1000, 43_500, false)).toBe('Nothing printed for 42 s');
  expect(silenceWords(null, 43_500, true)).toBe('');
});

test('a desktop that is away is said on its running tasks, with the reason and the next try', () => {
  const running = { status: 'running', phase: 'streaming' } as const;
  const error = { code: 'connection_lost', message: 'The connection was lost.' };
  const away = { name: 'ci', link: 'reconnecting', error, nextTryAt: '2026-01-01T00:00:04Z', durable: true } as const;
  const now = Date.parse('2026-01-01T00:00:00Z');
  expect(awayWords(running, away, now)).toBe(
    'No connection to ci: The connection was lost. Next try in 4 s. ' +
      'The run goes on there; what it prints comes when the desktop is back.',
  );
  expect(awayWords(running, { ...away, durable: false }, now + 9000)).toBe(
    'No connection to ci: The connection was lost. It is tried again every 30 s or sooner.',
  );
  expect(awayWords(running, { ...away, nextTryAt: null, durable: false }, now)).toBe(
    'No connection to ci: The connection was lost.',
  );
  expect(awayWords(running, { ...away, link: 'up' }, now)).toBeNull();
  expect(awayWords({ status: 'done', phase: null }, away, now)).toBeNull();
});

test('what a running task waits for', () => {
  const running = { status: 'running', phase: 'streaming', cancelRequestedAt: null } as const;
  expect(phaseWords(running, 'up')).toBeNull();
  expect(phaseWords({ ...running, phase: 'queued' }, 'up')).toBe('queued: the desktop is busy');
  expect(phaseWords(running, 'reconnecting')).toBe('reconnecting to the desktop');
  expect(phaseWords({ ...running, cancelRequestedAt: '2026-11-24T14:00:00Z' }, 'up')).toBe('cancelling');
  expect(phaseWords({ ...running, status: 'done' }, 'up')).toBeNull();
});
