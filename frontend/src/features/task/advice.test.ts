import { expect, test } from 'vitest';
import { adviceFor } from './advice';

const failed = { error: null, exitCode: null, signal: null };

test('a known code says what helps', () => {
  expect(adviceFor({ ...failed, error: { code: 'connection_lost', message: '' } })).toMatch(/Retry when/);
});

test('exit codes with a meaning of their own do too', () => {
  expect(adviceFor({ ...failed, exitCode: 127 })).toMatch(/PATH/);
  expect(adviceFor({ ...failed, exitCode: 1 })).toBeNull();
});
