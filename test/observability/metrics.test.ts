/** The metrics of a node that runs: what is there before the first request, what requests add, and what the reference says of it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseExposition, seriesText, type Family } from './exposition.ts';
import { canaryScrape, familiesOf, ScrapedRing, TOKEN } from './offered-metrics.ts';
import { REFERENCE, referenceOf } from './metrics-reference.ts';

/** An object's name that would be found anywhere. */
const NAME = 'conspicuous-name';
/** Each has few values in any ring: `node_id` is the node's own, `peer` is the other members where they were asked for, `token` the names in the operator's file. */
const LABELS = new Set([
  'cause', 'cluster_id', 'code', 'direction', 'kind', 'method', 'node_id', 'node_version', 'op', 'reason', 'resource', 'result', 'revision', 'route', 'stage', 'state', 'status', 'token', 'transfer', 'type',
  'verb', 'version', 'zone', 'change', 'peer',
]);

let ring: ScrapedRing;
let before = '';
let after = '';

beforeAll(async () => {
  ring = await ScrapedRing.start();
  before = await ring.scrape();
  await ring.grow();
  await requests(ring.node.url);
  after = await ring.scrape();
}, 90_000);
afterAll(() => ring.stop());

/** One of each kind that a client can make, and that end in different ways. */
async function requests(url: string): Promise<void> {
  const statuses: number[] = [];
  const ask = async (method: string, path: string, body: RequestInit['body'] = null, headers: Record<string, string> = {}): Promise<void> => {
    const response = await fetch(`${url}/v1/objects${path}`, { method, headers: { authorization: `Bearer ${TOKEN}`, ...headers }, body: body ?? null });
    await response.arrayBuffer();
    statuses.push(response.status);
  };
  const form = new FormData();
  form.append('file', new Blob(['bytes of a form']), `${NAME}-form`);
  await ask('PUT', `/${NAME}`, Buffer.alloc(1000));
  await ask('PUT', `/${NAME}`, Buffer.alloc(1_000_000));
  await ask('GET', `/${NAME}`);
  await ask('GET', `/${NAME}`, null, { range: 'bytes=0-9' });
  await ask('HEAD', `/${NAME}`);
  await ask('GET', `/${NAME}-that-is-not-there`);
  await ask('GET', `/${NAME}`, null, { authorization: 'Bearer of-no-token-that-is-known' });
  await ask('PATCH', `/${NAME}`);
  await ask('POST', '', form);
  await ask('GET', `?prefix=${NAME}`);
  await ask('DELETE', `/${NAME}`);
  expect(statuses).toEqual([201, 200, 200, 206, 200, 404, 401, 405, 200, 200, 204]);
}

const own = (families: readonly Family[]): readonly Family[] => families.filter(({ name }) => name.startsWith('dht_'));
const isCounted = ({ type }: Family): boolean => type === 'counter' || type === 'histogram';

test('every series of a counter or histogram is there, with 0, before the first request', async () => {
  const known = new Set(parseExposition(before).flatMap(({ series }) => series.map(seriesText)));
  const grown = own(parseExposition(after)).filter(isCounted).flatMap(({ series }) => series.map(seriesText));
  expect(grown.length).toBeGreaterThan(500);
  expect(grown.filter((series) => !known.has(series))).toEqual([]);
  expect(own(parseExposition(await canaryScrape())).filter((family) => isCounted(family) && family.series.length === 0)).toEqual([]);
  const requestCounts = parseExposition(before).find(({ name }) => name === 'dht_gateway_requests_total')?.series ?? [];
  expect(requestCounts.length).toBeGreaterThan(20);
  expect(requestCounts.filter(({ value }) => value !== 0)).toEqual([]);
});

test('no label is one of an object, and none has many values', async () => {
  expect(after).not.toContain(NAME);
  for (const { name, labelNames } of own(await familiesOf(after))) expect([name, labelNames.filter((label) => !LABELS.has(label))]).toEqual([name, []]);
});

test('each says what it is, and nothing is measured that is not a number', async () => {
  for (const { name, type, help, series } of await familiesOf(after)) {
    expect([name, type]).toEqual([name, expect.stringMatching(/^(counter|gauge|histogram)$/)]);
    expect(help.length).toBeGreaterThan(10);
    expect([name, series.filter(({ value }) => Number.isNaN(value)).map(seriesText)]).toEqual([name, []]);
  }
});

test('docs/metrics.md is what a node shows', async () => {
  expect(readFileSync(REFERENCE, 'utf8')).toBe(referenceOf(await familiesOf(after)));
});

const withPromtool = spawnSync('promtool', ['--version']).status === 0 ? test : test.skip;
if (withPromtool === test.skip) console.warn('skipped: no promtool on the PATH, so it does not check the metrics here');

withPromtool('promtool has nothing against them', async () => {
  for (const text of [after, await canaryScrape()]) {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    expect(`${stdout}${stderr}`).toBe('');
    expect(status).toBe(0);
  }
});
