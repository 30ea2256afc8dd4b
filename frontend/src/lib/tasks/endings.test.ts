import { describe, expect, it } from 'vitest';
import { endingOf, leftWords } from './endings';

const ended = { status: 'failed', error: null, feedback: null, exitCode: null, signal: null } as const;

describe('the end of a task', () => {
  it('is its exit, where that is all there is to say', () => {
    const error = { code: 'exit_nonzero', message: 'The command exited with 127.' };
    expect(endingOf({ ...ended, exitCode: 127, error })).toBe('exit 127: command not found');
    expect(endingOf({ ...ended, signal: 'SIGKILL' })).toBe('killed by SIGKILL');
  });

  it('is the error, where something else went wrong', () => {
    expect(endingOf({ ...ended, error: { code: 'connection_lost', message: 'The connection was lost.' } })).toBe(
      'The connection was lost.',
    );
  });

  it('is the feedback of who rejected it', () => {
    expect(endingOf({ ...ended, exitCode: 0, feedback: 'Too long' })).toBe('rejected: Too long');
  });

  it('needs no words when all is well', () => {
    expect(endingOf({ ...ended, status: 'done', exitCode: 0 })).toBeNull();
    expect(endingOf({ ...ended, status: 'cancelled' })).toBeNull();
  });

  it('names what was left running, with what one needs to find it', () => {
    expect(leftWords({ leftRunning: [{ pid: 4711, user: 'mia', command: 'sleep 9' }] })).toBe(
      'Left running there: sleep 9 (pid 4711, mia).',
    );
    expect(leftWords({ leftRunning: null })).toBeNull();
  });
});
