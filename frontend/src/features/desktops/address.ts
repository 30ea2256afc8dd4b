// What people type for a desktop: `user@host`, `user@host:2222`, `[::1]:22`, or a name from the server's ~/.ssh/config.

export interface Address {
  host: string;
  port?: number;
  username?: string;
}

/** The address in its parts, or what is wrong with it, as its field says it. */
export function readAddress(text: string): Address | string {
  const trimmed = text
    .trim()
    .replace(/^ssh:\/\//, '')
    .replace(/^ssh\s+/, '');
  if (!trimmed) return 'Enter user@host, or a name from ~/.ssh/config on the server.';
  if (/\s/.test(trimmed)) return 'has blanks; options such as -p go into the fields below';
  const at = trimmed.lastIndexOf('@');
  const username = at >= 0 ? trimmed.slice(0, at) : '';
  const place = trimmed.slice(at + 1);
  if (at === 0) return 'The user name before @ is missing.';
  const found =
    /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(place) ??
    (/^[0-9a-f:.]+$/i.test(place) ? [place, place] : null);
  const host = found?.[1] ?? found?.[2];
  if (!host) return `“${place}” is not an address. Write host, host:port or [IPv6]:port.`;
  const port = found?.[3] ? Number(found[3]) : undefined;
  if (port !== undefined && (port < 1 || port > 65_535)) return 'must have a port between 1 and 65535';
  return { host, ...(port ? { port } : {}), ...(username ? { username } : {}) };
}

/** A name for a desktop from its address: the first label of a host name, or the address itself. */
export function nameFrom(host: string): string {
  return /^[\d.]+$/.test(host) || host.includes(':') ? host : (host.split('.')[0] ?? host);
}

export function addressOf(ssh: { host: string; port: number; username: string | null }): string {
  const host = ssh.host.includes(':') ? `[${ssh.host}]` : ssh.host;
  return `${ssh.username ? `${ssh.username}@` : ''}${host}${ssh.port && ssh.port !== 22 ? `:${ssh.port}` : ''}`;
}
