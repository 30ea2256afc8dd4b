import { expect, test } from 'vitest';
import { withQuery } from '../router';
import { findingOf, hashOf, marksOf, paramsOf } from './links';

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

const found = (query: string) => findingOf(new URLSearchParams(query));

test('what is looked for is in the address, what is usual is not', () => {
  const plain = { text: 'a+b & c', isRegex: false, matchCase: false, context: null };
  const special = { text: '^a|b$', isRegex: true, matchCase: true, context: 0 };
  expect(withQuery(new URL('http://here/tasks/1?stream=stderr#L5'), paramsOf(plain))).toBe(
    '/tasks/1?stream=stderr&find=a%2Bb+%26+c#L5',
  );
  for (const finding of [plain, special, { ...special, context: 20 }]) {
    const { searchParams } = new URL(`http://here${withQuery(new URL('http://here/'), paramsOf(finding))}`);
    expect(findingOf(searchParams)).toEqual(finding);
  }
  expect(withQuery(new URL('http://here/?find=a&regex=1&case=1&context=2'), paramsOf(null))).toBe('/');
});

test('an address that says nothing of use looks for nothing', () => {
  for (const query of ['', 'find=', 'regex=1&context=2', `find=${'x'.repeat(201)}`]) expect(found(query)).toBeNull();
  expect(found('find=x&regex=yes&case=0&context=7')).toEqual({
    text: 'x',
    isRegex: false,
    matchCase: false,
    context: null,
  });
});

test('a text that is too long for an address is not in it', () => {
  const finding = { text: 'x'.repeat(201), isRegex: true, matchCase: false, context: 5 };
  expect(paramsOf(finding)).toEqual(paramsOf(null));
});
