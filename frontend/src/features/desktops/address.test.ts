import { describe, expect, it } from 'vitest';
import { addressOf, nameFrom, readAddress } from './address';

describe('an address', () => {
  it('is read as ssh reads it', () => {
    expect(readAddress('deploy@build-01.example.net')).toEqual({ host: 'build-01.example.net', username: 'deploy' });
    expect(readAddress('build')).toEqual({ host: 'build' });
    expect(readAddress('ops@10.0.0.7:2222')).toEqual({ host: '10.0.0.7', port: 2222, username: 'ops' });
    expect(readAddress('[::1]:22')).toEqual({ host: '::1', port: 22 });
    expect(readAddress('fe80::1')).toEqual({ host: 'fe80::1' });
    expect(readAddress(' ssh ops@box ')).toEqual({ host: 'box', username: 'ops' });
    expect(readAddress('user@corp@box')).toEqual({ host: 'box', username: 'user@corp' });
  });

  it('that is none says what is wrong', () => {
    for (const text of ['', '@box', 'a b', 'box:99999', 'box:ssh']) expect(typeof readAddress(text)).toBe('string');
  });

  it('gives a desktop its first name', () => {
    expect(nameFrom('build-01.example.net')).toBe('build-01');
    expect(nameFrom('10.0.0.7')).toBe('10.0.0.7');
    expect(nameFrom('::1')).toBe('::1');
  });

  it('is written without what goes without saying', () => {
    expect(addressOf({ host: 'box', port: 22, username: 'ops' })).toBe('ops@box');
    expect(addressOf({ host: '::1', port: 2222, username: null })).toBe('[::1]:2222');
  });
});
