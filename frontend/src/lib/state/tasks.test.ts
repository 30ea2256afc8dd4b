import { describe, expect, it } from 'vitest';
import type { Task } from '../api/types';
import { lastShown, matches, NO_FILTER } from './tasks.svelte';

describe('the last line of a card', () => {
  it('is the last one that says something', () => {
    expect(lastShown('one\ntwo\n\n')).toBe('two');
    expect(lastShown('\n \n')).toBe('');
  });

  it('has no colours and no links in it', () => {
    expect(lastShown('\u001b[1;32mok\u001b[0m \u001b]8;;http://x\u0007here\u001b]8;;\u0007')).toBe('ok here');
  });

  it('is the last state of a progress bar', () => {
    expect(lastShown('10 %\r50 %\r99 %')).toBe('99 %');
    expect(lastShown('done\r\n')).toBe('done');
  });
});

describe('the filter', () => {
  const task = {
    id: 'task_9',
    type: 'prompt',
    title: 'Deploy',
    content: 'Roll out',
    desktopId: 'desk_1',
    labels: ['Prod'],
  } as Task;
  const fits = (filter: Partial<typeof NO_FILTER>) => matches(task, { ...NO_FILTER, ...filter });

  it('finds title, content, label and id', () => {
    expect(['deploy', 'roll', 'prod', 'task_9', ''].map((text) => fits({ text }))).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    expect(fits({ text: 'nothing' })).toBe(false);
  });

  it('takes desktop and type together with the text', () => {
    expect(fits({ desktopId: 'desk_1', type: 'prompt', text: 'deploy' })).toBe(true);
    expect(fits({ desktopId: 'desk_2' })).toBe(false);
    expect(fits({ type: 'command' })).toBe(false);
  });
});
