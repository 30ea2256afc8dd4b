// How a desktop is reached, as people type it: what is missing, what the server is told, and where its answer belongs.
import { type Problems, partOf } from '../../lib/api/errors';
import type { AuthInput, AuthKind, Ssh } from '../../lib/api/types';
import { addressOf, readAddress } from './address';

export interface SshDraft {
  address: string;
  /** `kept` is what the server has already. */
  kind: AuthKind | 'kept';
  secret: string;
  passphrase: string;
  certificate: string;
  /** Id of the desktop that the way leads through, or nothing. */
  jump: string;
  hostAuthority: string;
}

export function draftOf(ssh?: Ssh): SshDraft {
  return {
    address: ssh ? addressOf(ssh) : '',
    kind: ssh ? 'kept' : 'config',
    secret: '',
    passphrase: '',
    certificate: '',
    jump: ssh?.jump ?? '',
    hostAuthority: ssh?.hostAuthority ?? '',
  };
}

/** What the server would not have to be asked for. */
export function problemsOf({ address, kind, secret }: SshDraft): Problems {
  const problems: Problems = {};
  const read = readAddress(address);
  if (typeof read === 'string') problems['/ssh/host'] = read;
  if (kind === 'key' && !secret.trim()) problems['/ssh/auth'] = 'Paste the private key.';
  if (kind === 'password' && !secret) problems['/ssh/auth'] = 'Enter the password.';
  return problems;
}

/** What the server is told of a draft that has no problems; without `auth` the sign-in stays. */
export function sshOf(draft: SshDraft) {
  const read = readAddress(draft.address);
  if (typeof read === 'string') throw new Error(read);
  return {
    host: read.host,
    port: read.port ?? 22,
    username: read.username ?? null,
    jump: draft.jump || null,
    hostAuthority: draft.hostAuthority.trim() ? publicKeyIn(draft.hostAuthority) : null,
    auth: authOf(draft),
  };
}

function authOf({ kind, secret, passphrase, certificate }: SshDraft): AuthInput | undefined {
  if (kind === 'kept') return undefined;
  if (kind === 'password') return { kind, password: secret };
  if (kind !== 'key') return { kind };
  return {
    kind,
    privateKey: secret,
    ...(passphrase ? { passphrase } : {}),
    ...(certificate.trim() ? { certificate } : {}),
  };
}

/** A public key alone, out of a .pub file with its comment or an `@cert-authority` line of known_hosts. */
export function publicKeyIn(text: string): string {
  const [, type, key] = /(?:^|\s)((?:ssh|ecdsa|sk)-\S+)\s+([A-Za-z0-9+/]+=*)/.exec(text) ?? [];
  return type ? `${type} ${key}` : text.trim();
}

/** The fields below, by JSON pointer. */
export const SSH_FIELDS = [
  '/ssh/host',
  '/ssh/auth',
  '/ssh/auth/passphrase',
  '/ssh/auth/certificate',
  '/ssh/jump',
  '/ssh/hostAuthority',
] as const;

/** The field that an error of the server belongs to. */
export function fieldOf(pointer: string): string {
  if (pointer.startsWith('/ssh/auth/certificate')) return '/ssh/auth/certificate';
  if (pointer.startsWith('/ssh/auth/passphrase')) return '/ssh/auth/passphrase';
  if (pointer.startsWith('/ssh/auth')) return '/ssh/auth';
  if (pointer.startsWith('/ssh/hostAuthority')) return '/ssh/hostAuthority';
  if (pointer.startsWith('/ssh/jump')) return '/ssh/jump';
  if (pointer.startsWith('/ssh')) return '/ssh/host';
  return partOf(pointer);
}

/** Whether somebody has said how its host proves that it is the one. */
export const isConfirmed = (ssh: Ssh): boolean => !!(ssh.hostKeyFingerprint || ssh.hostAuthority);
