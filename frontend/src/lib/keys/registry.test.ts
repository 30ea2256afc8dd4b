import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GROUPS, KEYS, keyOf, shownKeys, step } from './registry';

describe('keys', () => {
  it('name a command at once', () => {
    expect(step('', 'n')).toEqual({ pending: '', commands: ['new-task'] });
  });

  it('wait for the second of two', () => {
    expect(step('', 'g')).toEqual({ pending: 'g', commands: [] });
    expect(step('g', 'b')).toEqual({ pending: '', commands: ['go-board'] });
  });

  it('that do not go on begin anew', () => {
    expect(step('g', 'n')).toEqual({ pending: '', commands: ['new-task'] });
    expect(step('g', 'g')).toEqual({ pending: 'g', commands: [] });
    expect(step('g', 'q')).toEqual({ pending: '', commands: [] });
  });

  it('shared by several screens name all their commands', () => {
    expect(step('', 'r').commands).toEqual(['run', 'task-run', 'approvals-reject']);
  });

  it('leave to the widget what the widget handles', () => {
    expect(step('', 'Enter').commands).toEqual([]);
  });

  it('are shown as they are pressed', () => {
    expect(shownKeys('g b')).toEqual(['G', 'B']);
    expect(shownKeys('J')).toEqual(['Shift', 'J']);
    expect(shownKeys('Escape')).toEqual(['Esc']);
    expect(shownKeys('Mod+k', false)).toEqual(['Ctrl', 'K']);
    expect(shownKeys('Mod+k', true)).toEqual(['⌘', 'K']);
  });

  it('have one meaning in each place, and a place in the help', () => {
    const seen = new Set<string>();
    for (const { group, keys } of KEYS) {
      expect(GROUPS).toContain(group);
      expect(seen.has(`${group} ${keys}`)).toBe(false);
      seen.add(`${group} ${keys}`);
    }
  });

  it('never begin a sequence with a key that means something by itself', () => {
    const single = new Set<string>(KEYS.map(({ keys }) => keys).filter((keys) => !keys.includes(' ')));
    for (const { keys } of KEYS) if (keys.includes(' ')) expect(single.has(keys.split(' ')[0] ?? '')).toBe(false);
  });
});

describe('a press', () => {
  const press = (key: string, code: string, shiftKey = false) => keyOf({ key, code, shiftKey });

  it('is the same letter with Caps Lock, and a capital with Shift only', () => {
    expect(press('n', 'KeyN')).toBe('n');
    expect(press('N', 'KeyN')).toBe('n');
    expect(press('J', 'KeyJ', true)).toBe('J');
    expect(press('j', 'KeyJ', true)).toBe('J');
  });

  it('is the letter of the key where the layout writes another script', () => {
    expect(press('т', 'KeyN')).toBe('n');
    expect(press('Т', 'KeyN')).toBe('n');
    expect(press('О', 'KeyJ', true)).toBe('J');
    expect(press('κ', 'KeyK')).toBe('k');
    expect(press('ל', 'KeyK')).toBe('k');
    expect(press('لا', 'KeyB')).toBe('b');
  });

  it('is what a Latin layout writes, wherever the key is', () => {
    expect(press('a', 'KeyQ')).toBe('a'); // French
    expect(press('.', 'KeyE')).toBe('.'); // Dvorak
    expect(press('ü', 'BracketLeft')).toBe('ü');
    expect(press('ı', 'KeyI')).toBe('ı');
  });

  it('is a sign or a named key as it is', () => {
    expect(press('?', 'Slash', true)).toBe('?');
    expect(press('/', 'Slash')).toBe('/');
    expect(press('Escape', 'Escape')).toBe('Escape');
    expect(press('Enter', 'Enter', true)).toBe('Enter');
  });
});

describe('every key', () => {
  it('is handled by some screen', () => {
    const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(svelte|ts)$/.test(name) && !/registry|\.test\./.test(name))
      .map((name) => readFileSync(`src/${name}`, 'utf8'))
      .join('\n');
    const entries: readonly { id: string; isLocal?: boolean }[] = KEYS;
    const missing = entries
      .filter(({ isLocal }) => !isLocal)
      .map(({ id }) => id)
      .filter((id) => !new RegExp(`'${id}'(:|,)|\\b${id}:`).test(sources));
    expect(missing).toEqual([]);
  });
});
