import { describe, expect, it } from 'vitest';
import { Views, viewQuery } from './views.svelte';

describe('a saved view', () => {
  it('is the filter of an address and nothing else of it', () => {
    const params = new URLSearchParams('column=done&type=prompt&q=deploy&mine=');
    expect(viewQuery(params)).toBe('q=deploy&type=prompt');
  });

  it('has one name, and each filter one view', () => {
    const views = new Views();
    views.save('Mine', 'mine=1');
    views.save('Deploys', 'q=deploy');
    views.save('Mine', 'mine=1&q=x');
    views.save('Rollouts', 'q=deploy');
    expect(views.all.map(({ name, query }) => [name, query])).toEqual([
      ['Mine', 'mine=1&q=x'],
      ['Rollouts', 'q=deploy'],
    ]);
    expect(views.of('q=deploy')?.name).toBe('Rollouts');
  });

  it('is let go of when there are too many', () => {
    const views = new Views();
    for (let n = 0; n < 40; n += 1) views.save(`view ${n}`, `q=${n}`);
    expect(views.all).toHaveLength(30);
    expect(views.all[0]?.name).toBe('view 10');
  });
});
