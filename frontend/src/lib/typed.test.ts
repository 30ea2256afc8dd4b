import { describe, expect, it } from 'vitest';
import { variablesOf, variablesText, wordsOf } from './typed';

it('words with commas between are taken once each', () =>
  expect(wordsOf(' web, db ,,web\nci')).toEqual(['web', 'db', 'ci']));

describe('variables', () => {
  it('are one a line, as they stand', () => {
    expect(variablesOf('A=1\n\n  B=x=y \nC=').variables).toEqual({ A: '1', B: 'x=y ', C: '' });
  });

  it('may have several lines in double quotes', () => {
    expect(variablesOf('A="one\ntwo"\nB="say \\"hi\\" in C:\\\\temp"').variables).toEqual({
      A: 'one\ntwo',
      B: 'say "hi" in C:\\temp',
    });
  });

  it('say which line is none', () => {
    expect(variablesOf('A=1\n=2\nthree').wrong).toBe('=2');
    expect(variablesOf('A="begins\nand goes on').wrong).toBe('and goes on');
    expect(variablesOf('A=1\n').wrong).toBeNull();
  });

  it.each([
    { A: 'plain' },
    { KEY: '-----BEGIN KEY-----\nabc=\n-----END KEY-----\n', B: '2' },
    { QUOTED: '"as it is"', INSIDE: 'a "word"', BACK: 'C:\\new', BOTH: '"\\n"\n\\' },
    { EMPTY: '', BLANKS: '  two  ' },
  ] as Record<string, string>[])('read the same again: %j', (variables) => {
    expect(variablesOf(variablesText(variables))).toEqual({ variables, wrong: null });
  });
});
