import { describe, expect, it } from 'vitest';
import { browserName, knownHostOf } from './words';

describe('a browser', () => {
  it.each([
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox on Linux'],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0',
      'Edge on Windows',
    ],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15',
      'Safari on macOS',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1',
      'Chrome on iOS',
    ],
    ['python-httpx2/2.16', 'python-httpx2/2.16'],
    [null, 'A program'],
    ['', 'A program'],
  ])('is told in a few words: %s', (userAgent, name) => expect(browserName(userAgent)).toBe(name));
});

describe('a line of known_hosts', () => {
  it.each([
    [
      '@cert-authority *.example.com,!old.example.com ssh-ed25519 AAAA the fleet',
      { marker: 'cert-authority', hosts: '*.example.com, !old.example.com', publicKey: 'ssh-ed25519 AAAA' },
    ],
    ['@revoked * ssh-rsa BBBB', { marker: 'revoked', hosts: '*', publicKey: 'ssh-rsa BBBB' }],
    [' ssh-ed25519 AAAA me@here\n', { publicKey: 'ssh-ed25519 AAAA' }],
    ['nonsense', { publicKey: 'nonsense' }],
    ['', { publicKey: '' }],
  ])('comes apart: %s', (line, parts) => expect(knownHostOf(line)).toEqual(parts));
});
