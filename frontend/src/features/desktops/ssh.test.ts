import { describe, expect, it } from 'vitest';
import type { Ssh } from '../../lib/api/types';
import { draftOf, fieldOf, problemsOf, publicKeyIn, sshOf } from './ssh';

const KNOWN = { host: 'build', port: 2222, username: 'ops', jump: 'desk_1', hostAuthority: null } as Ssh;

describe('how a desktop is reached', () => {
  it('is changed from what it is, and keeps its sign-in until another is chosen', () => {
    const draft = draftOf(KNOWN);
    expect(draft.address).toBe('ops@build:2222');
    expect(problemsOf(draft)).toEqual({});
    expect(JSON.parse(JSON.stringify(sshOf(draft)))).toEqual({
      host: 'build',
      port: 2222,
      username: 'ops',
      jump: 'desk_1',
      hostAuthority: null,
    });
    expect(sshOf({ ...draft, kind: 'agent' }).auth).toEqual({ kind: 'agent' });
  });

  it('needs an address and the secret of its sign-in', () => {
    const draft = { ...draftOf(), kind: 'key' as const };
    expect(Object.keys(problemsOf(draft))).toEqual(['/ssh/host', '/ssh/auth']);
    const whole = { ...draft, address: 'build', secret: 'KEY', certificate: 'CERTIFICATE' };
    expect(sshOf(whole).auth).toEqual({ kind: 'key', privateKey: 'KEY', certificate: 'CERTIFICATE' });
  });

  it('takes an authority as a file or a line of known_hosts has it', () => {
    for (const text of [
      'ssh-ed25519 AAAAC3Nz+/= ca@build',
      '  ssh-ed25519   AAAAC3Nz+/=\n',
      '@cert-authority *.example.net ssh-ed25519 AAAAC3Nz+/= ca',
    ]) {
      expect(publicKeyIn(text)).toBe('ssh-ed25519 AAAAC3Nz+/=');
    }
    expect(publicKeyIn(' what is this ')).toBe('what is this');
  });

  it('shows what the server says where it belongs', () => {
    expect(
      ['/ssh/auth/privateKey', '/ssh/auth/certificate', '/ssh/jump', '/ssh/port', '/agent/token', '/labels/0'].map(
        fieldOf,
      ),
    ).toEqual(['/ssh/auth', '/ssh/auth/certificate', '/ssh/jump', '/ssh/host', '/agent', '/labels']);
  });
});
