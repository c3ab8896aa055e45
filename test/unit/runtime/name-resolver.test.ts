import { expect, test } from '@jest/globals';
import { countLookups, NameResolver, type LookupResult } from '../../../src/runtime/name-resolver.ts';
import { NodeNetwork } from '../../../src/runtime/node-network.ts';
import { RecordingMeter } from '../../support/recording-meter.ts';

function counted(): { readonly resolver: NameResolver; readonly counts: () => readonly number[] } {
  const meter = new RecordingMeter();
  const resolver = new NameResolver(countLookups(meter));
  return { resolver, counts: () => ['ok', 'nxdomain', 'timeout', 'error'].map((result) => meter.value('dht_peer_dns_lookups_total', { result })) };
}

test('what is an address already needs no look-up', async () => {
  const { resolver, counts } = counted();
  expect(await resolver.resolve('127.0.0.1')).toBe('127.0.0.1');
  expect(await resolver.resolve('::1')).toBe('::1');
  expect(await resolver.resolve('localhost')).toBe('127.0.0.1');
  expect(counts()).toEqual([0, 0, 0, 0]);
});

test('a name that nobody finds counts as one failed look-up, and every attempt counts', async () => {
  const { resolver, counts } = counted();
  for (const attempts of [1, 2]) {
    await expect(resolver.resolve('no-such-name.invalid')).rejects.toThrow();
    const [ok, ...failed] = counts();
    expect(ok).toBe(0);
    // Which one it is depends on whether there is a DNS server here.
    expect(failed.reduce((sum, count) => sum + count)).toBe(attempts);
  }
});

test('the network door tells of the look-ups of its dials', async () => {
  const results: LookupResult[] = [];
  const network = new NodeNetwork({ secret: null, onLookup: (result) => { results.push(result); } });
  await expect(network.dial({ host: 'no-such-name.invalid', port: 1 }, 5_000)).rejects.toThrow();
  expect(results).toHaveLength(1);
  await expect(network.dial({ host: '127.0.0.1', port: 1 }, 5_000)).rejects.toThrow();
  expect(results).toHaveLength(1);
});
