import { expect, test } from 'vitest';
import { hashOf, marksOf } from './links';

test('one line and several', () => {
  expect(marksOf('#L120')).toEqual({ from: 119, to: 119 });
  expect(marksOf('#L140-L120')).toEqual({ from: 119, to: 139 });
  expect(hashOf({ from: 119, to: 139 })).toBe('#L120-L140');
  expect(hashOf({ from: 0, to: 0 })).toBe('#L1');
  expect(hashOf(null)).toBe('');
});

test('anything else marks nothing', () => {
  for (const hash of ['', '#', '#L0', '#Lx', '#signin=abc', '#L1-L0']) expect(marksOf(hash)).toBeNull();
});
