import { expect, test } from 'vitest';
import { adviceFor, leftWords } from './advice';

const failed = { error: null, exitCode: null, signal: null };

test('a known code says what helps', () => {
  expect(adviceFor({ ...failed, error: { code: 'connection_lost', message: '' } })).toMatch(/Retry when/);
});

test('exit codes with a meaning of their own do too', () => {
  expect(adviceFor({ ...failed, exitCode: 127 })).toMatch(/PATH/);
  expect(adviceFor({ ...failed, exitCode: 1 })).toBeNull();
});

test('what a command left running is named, with what one needs to find it', () => {
  expect(leftWords({ leftRunning: [{ pid: 4711, user: 'mia', command: 'sleep 9' }] })).toBe(
    'Left running there: sleep 9 (pid 4711, mia).',
  );
  expect(leftWords({ leftRunning: null })).toBeNull();
});
