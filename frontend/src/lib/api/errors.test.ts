import { describe, expect, it } from 'vitest';
import { ProblemError, partOf, problemsIn, sentenceOf } from './errors';

const refused = (...errors: { pointer: string; message: string }[]) =>
  new ProblemError({ title: 'Not valid', status: 422, code: 'invalid', detail: 'Two fields are wrong.', errors });

describe('what is wrong with a form', () => {
  it('stands at the field that it belongs to, which begins the sentence', () => {
    const error = refused(
      { pointer: '/title', message: 'is longer than 200 characters' },
      { pointer: '/hostAuthority', message: 'is not a public key' },
      { pointer: '/hostAuthority', message: 'cannot be combined with hostKeyFingerprint' },
    );
    const problems = problemsIn(error, ['/title', '/hostAuthority']);
    expect(sentenceOf('Title', problems['/title'] ?? '')).toBe('Title is longer than 200 characters.');
    expect(sentenceOf('Authority', problems['/hostAuthority'] ?? '')).toBe(
      'Authority is not a public key, and cannot be combined with hostKeyFingerprint.',
    );
  });

  it('names the part where the field has another name', () => {
    const error = refused(
      { pointer: '/labels/2', message: 'must be str, not int' },
      { pointer: '/labels', message: 'must not name one twice' },
      { pointer: '/auth/privateKey', message: 'is longer than 10 characters' },
      { pointer: '/auth/url', message: 'is not an http or https URL' },
    );
    expect(problemsIn(error, ['/labels', '/auth'])).toEqual({
      '/labels': 'must not name one twice. Entry 3 must be str, not int.',
      '/auth': 'Private key is longer than 10 characters. URL is not an http or https URL.',
    });
  });

  it('is a sentence of its own where it has a subject', () => {
    const gone = { pointer: '/desktopId', message: 'there is no desktop desk_0' };
    expect(problemsIn(refused(gone), ['/desktopId'])).toEqual({ '/desktopId': 'There is no desktop desk_0.' });
    expect(sentenceOf('Key', 'Enter a key.')).toBe('Enter a key.');
  });

  it('is said for the whole where the form has no such field', () => {
    const error = refused(
      { pointer: '/name', message: 'is empty' },
      { pointer: '/colour', message: 'is not a known field' },
    );
    expect(problemsIn(error, ['/name'])).toEqual({ '/name': 'is empty.', '': 'Colour is not a known field.' });
    expect(problemsIn(refused({ pointer: '', message: 'must be object' }), [])).toEqual({
      '': 'What was sent must be object.',
    });
  });

  it('is the detail where no field is named', () => {
    expect(problemsIn(refused(), ['/name'])).toEqual({ '': 'Two fields are wrong.' });
    expect(problemsIn(new Error('lost'), ['/name'])).toEqual({ '': 'lost' });
  });

  it('is found where a part of the body is typed', () => {
    const inOne = (pointer: string) => (pointer.startsWith('/ssh') ? '/ssh/host' : partOf(pointer));
    const error = refused({ pointer: '/ssh/host', message: 'is empty' }, { pointer: '/ssh/port', message: 'is 0' });
    expect(problemsIn(error, ['/ssh/host'], inOne)).toEqual({ '/ssh/host': 'is empty. Port is 0.' });
  });
});
