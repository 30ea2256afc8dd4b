import { describe, expect, it } from 'vitest';
import { ProblemError, partOf, problemsIn } from './errors';

const refused = (...errors: { pointer: string; message: string }[]) =>
  new ProblemError({ title: 'Not valid', status: 422, code: 'invalid', detail: 'Two fields are wrong.', errors });

describe('what is wrong with a form', () => {
  it('stands at the field that it belongs to', () => {
    const error = refused(
      { pointer: '/name', message: 'It is taken.' },
      { pointer: '/labels/2', message: 'It is too long.' },
      { pointer: '/labels/3', message: 'It is empty.' },
    );
    expect(problemsIn(error, ['/name', '/labels'])).toEqual({
      '/name': 'It is taken.',
      '/labels': 'It is too long. It is empty.',
    });
  });

  it('is said for the whole where the form has no such field', () => {
    const error = refused({ pointer: '/name', message: 'It is taken.' }, { pointer: '/colour', message: 'Unknown.' });
    expect(problemsIn(error, ['/name'])).toEqual({ '/name': 'It is taken.', '': 'colour: Unknown.' });
  });

  it('is the detail where no field is named', () => {
    expect(problemsIn(refused(), ['/name'])).toEqual({ '': 'Two fields are wrong.' });
    expect(problemsIn(new Error('lost'), ['/name'])).toEqual({ '': 'lost' });
  });

  it('is found where a part of the body is typed', () => {
    const inOne = (pointer: string) => (pointer.startsWith('/ssh') ? '/ssh/host' : partOf(pointer));
    expect(problemsIn(refused({ pointer: '/ssh/port', message: 'Too high.' }), ['/ssh/host'], inOne)).toEqual({
      '/ssh/host': 'Too high.',
    });
  });
});
