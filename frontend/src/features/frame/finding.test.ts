import { describe, expect, it } from 'vitest';
import type { PaletteItem } from '../../lib/state/palette.svelte';
import { closeness, found } from './finding';

const item = (label: string, group = 'Go to', words = ''): PaletteItem => ({
  id: label,
  group,
  label,
  words,
  icon: 'board',
  run: () => {},
});

describe('the palette', () => {
  it('finds by any words, in any order and case', () => {
    expect(closeness(item('Sign out'), 'OUT sign')).not.toBeNull();
    expect(closeness(item('Desktops', 'Go to', 'hosts ssh'), 'host')).not.toBeNull();
    expect(closeness(item('Desktops'), 'task')).toBeNull();
  });

  it('prefers the beginning of the name, then of a word', () => {
    expect(closeness(item('Board'), 'bo')).toBe(0);
    expect(closeness(item('The board'), 'bo')).toBe(1);
    expect(closeness(item('Keyboard'), 'bo')).toBe(2);
  });

  it('keeps groups together, the one with the best find first', () => {
    const items = [item('Keyboard', 'Settings'), item('Board'), item('Boat desktop', 'Desktops'), item('On board')];
    expect(found(items, 'boa', []).map(({ label }) => label)).toEqual([
      'Board',
      'On board',
      'Boat desktop',
      'Keyboard',
    ]);
  });

  it('puts what was used lately first among equals', () => {
    const items = [item('Desk one'), item('Desk two'), item('Desk three')];
    expect(found(items, 'desk', ['Desk three', 'Desk two']).map(({ label }) => label)).toEqual([
      'Desk three',
      'Desk two',
      'Desk one',
    ]);
  });

  it('shows everything as it was offered while nothing is typed', () => {
    const items = [item('B'), item('A')];
    expect(found(items, '', []).map(({ label }) => label)).toEqual(['B', 'A']);
  });
});
