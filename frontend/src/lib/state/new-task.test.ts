import { describe, expect, it } from 'vitest';
import { bodyOf, EMPTY_DRAFT, secondsOf } from './new-task.svelte';

const draft = { ...EMPTY_DRAFT, type: 'command' as const, content: 'make', desktopIds: ['desk_1'] };

describe('a draft', () => {
  it('becomes a body without what was left empty', () => {
    expect(bodyOf(draft)).toEqual({ body: { type: 'command', content: 'make' }, problems: {} });
  });

  it('keeps the content as it was typed', () => {
    expect(bodyOf({ ...draft, content: '  make\n' }).body.content).toBe('  make\n');
  });

  it('says at which field something is missing', () => {
    expect(Object.keys(bodyOf({ ...draft, content: ' \n', desktopIds: [] }).problems)).toEqual([
      '/content',
      '/desktopId',
    ]);
  });

  it('reads labels, timeout, folder and environment', () => {
    expect(
      bodyOf({
        ...draft,
        labels: 'a, b,a,',
        timeout: '10m',
        cwd: ' /srv ',
        env: 'A=1\n\nB=x=y',
        title: ' T ',
        requiresApproval: true,
      }).body,
    ).toEqual({
      type: 'command',
      content: 'make',
      requiresApproval: true,
      title: 'T',
      labels: ['a', 'b'],
      timeoutSeconds: 600,
      cwd: '/srv',
      env: { A: '1', B: 'x=y' },
    });
  });

  it('gives folder, environment and secrets to a command only', () => {
    const full = { ...draft, cwd: '/srv', env: 'A=1', secrets: ['NPM_TOKEN'] };
    expect(bodyOf(full).body).toMatchObject({ cwd: '/srv', env: { A: '1' }, secrets: ['NPM_TOKEN'] });
    const prompt = { ...full, type: 'prompt' as const, env: 'not a variable' };
    expect(bodyOf(prompt)).toEqual({ body: { type: 'prompt', content: 'make' }, problems: {} });
  });

  it('refuses an environment line without a name', () => {
    expect(bodyOf({ ...draft, env: '=1' }).problems['/env']).toContain('NAME=value');
  });

  it('reads lengths of time', () => {
    expect(['90', '90s', '10m', '2h', '1d', '1.5h', ' 5 min '].map(secondsOf)).toEqual([
      90, 90, 600, 7200, 86_400, 5400, 300,
    ]);
    expect(['', '0', 'soon', '-5', '5 weeks'].map(secondsOf)).toEqual([null, null, null, null, null]);
  });
});
