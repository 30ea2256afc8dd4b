import { describe, expect, it, test } from 'vitest';
import { age, ago, bytes, count, cut, duration, exitWords, firstLine, plural, stopwatch } from './format';

describe('numbers in words', () => {
  it('say how long something took', () => {
    expect([0, 42, 420, 9_949, 12_400, 192_000, 7_500_000, 7_200_000, 270_000_000].map(duration)).toEqual([
      '0 s',
      '42 ms',
      '0.4 s',
      '9.9 s',
      '12 s',
      '3 min 12 s',
      '2 h 5 min',
      '2 h',
      '3 d 3 h',
    ]);
  });

  it('tick without changing their width inside a minute', () => {
    expect([-5, 7_000, 760_000, 3_723_000].map(stopwatch)).toEqual(['0:00', '0:07', '12:40', '1:02:03']);
  });

  it('say how old something is', () => {
    expect([500, 12_000, 240_000, 10_800_000, 200_000_000].map(age)).toEqual(['now', '12 s', '4 min', '3 h', '2 d']);
    expect(ago(100)).toBe('just now');
    expect(ago(60_000)).toBe('1 min ago');
  });

  it('round bytes to what matters', () => {
    expect([0, 999, 1_000, 3_449, 94_000_000, 999_600].map(bytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '3.4 kB',
      '94 MB',
      '1.0 MB',
    ]);
  });

  it('group digits and agree in number', () => {
    expect(count(1_234_567)).toBe('1,234,567');
    expect(plural(1, 'task')).toBe('1 task');
    expect(plural(1_200, 'entry', 'entries')).toBe('1,200 entries');
  });

  it('explain how a command ended', () => {
    expect(exitWords(1, null)).toBe('exit 1');
    expect(exitWords(127, null)).toBe('exit 127: command not found');
    expect(exitWords(null, 'KILL')).toBe('killed by SIGKILL');
    expect(exitWords(null, 'SIGTERM')).toBe('killed by SIGTERM');
    expect(exitWords(null, null)).toBeNull();
  });

  it('take the first line that says something as a title', () => {
    expect(firstLine('\n  \n#!/bin/sh\n  make test \n')).toBe('make test');
    expect(firstLine('   ')).toBe('');
  });
});

test('a text that is too long is cut between characters', () => {
  expect(cut('short', 5)).toBe('short');
  expect(cut('four 🙂🙂', 5)).toBe('four …');
  expect(cut('four 🙂🙂', 6)).toBe('four 🙂…');
});
