/** What HTTP promises beside put and get: HEAD, ranges, conditions, listings; each user walks through all of it. */
import { check } from 'k6';
import exec from 'k6/execution';
import type { RefinedResponse, ResponseType } from 'k6/http';
import { GENERATION_HEADER } from '../lib/answers.ts';
import { shown, shownOperations } from '../lib/limits.ts';
import { payload } from '../lib/payload.ts';
import { profile, scenarioOf } from '../k6/config.ts';
import { prepare, runOptions, summarize, type Prepared } from '../k6/run.ts';
import { expectedDigest, GatewayStore, httpAnswer, sha256 } from '../k6/store.ts';

const { own, keys } = scenarioOf('list-head-conditional');
const store = new GatewayStore();
const FIRST = 100;
const LAST = 1099;

export const options = runOptions(
  { main: { executor: 'constant-vus', vus: own.users, duration: `${own.seconds}s`, exec: 'journey', gracefulStop: '60s' } },
  shown('scenario:main'),
  shownOperations('main', 'put', 'get', 'head', 'list', 'delete'),
  { checks: ['rate==1'] },
);

export const setup = (): Prepared => prepare(keys, 0);

export function journey(): void {
  const key = keys.own(exec.vu.idInTest, exec.vu.iterationInScenario);
  const size = profile.bodyBytes;
  const first = payload(key, 1, size);
  const put = (generation: number, headers: Record<string, string>): RefinedResponse<ResponseType> =>
    store.send('put', 'PUT', key, payload(key, generation, size), { ...headers, [GENERATION_HEADER]: String(generation) });
  const get = (headers: Record<string, string> = {}): RefinedResponse<ResponseType> => store.send('get', 'GET', key, null, headers, { responseType: 'binary' });
  const has = (what: string, isSo: boolean): void => { check(null, { [what]: () => isSo }); };

  const created = put(1, { 'if-none-match': '*' });
  const etag = httpAnswer(created).header('etag') ?? '';
  has('If-None-Match: * creates', created.status === 201 && etag !== '');
  has('If-None-Match: * never replaces', put(2, { 'if-none-match': '*' }).status === 412);

  const head = store.send('head', 'HEAD', key, null);
  has('HEAD tells length and ETag', head.status === 200 && httpAnswer(head).header('content-length') === String(size) && httpAnswer(head).header('etag') === etag);
  const whole = get();
  has('GET gives every byte', whole.status === 200 && sha256(whole.body as ArrayBuffer) === expectedDigest(key, 1, size));
  has('If-None-Match of the ETag answers 304', get({ 'if-none-match': etag }).status === 304);
  has('If-Match of another ETag answers 412', get({ 'if-match': '"1-1-00000000000000000000000000000000"' }).status === 412);

  const part = get({ range: `bytes=${FIRST}-${LAST}` });
  has('a range gives that part', part.status === 206 && httpAnswer(part).header('content-range') === `bytes ${FIRST}-${LAST}/${size}` && sha256(part.body as ArrayBuffer) === sha256(first.slice(FIRST, LAST + 1)));
  has('a range beyond the end answers 416', get({ range: `bytes=${size}-` }).status === 416);
  has('If-Range of the ETag gives the part', get({ range: 'bytes=0-9', 'if-range': etag }).status === 206);

  const replaced = put(3, { 'if-match': etag });
  has('If-Match of the ETag replaces', replaced.status === 200);
  has('If-Match of the old ETag does not', put(4, { 'if-match': etag }).status === 412);
  has('If-Range of the old ETag gives the whole', get({ range: 'bytes=0-9', 'if-range': etag }).status === 200);

  const listing = store.send('list', 'GET', '', null, {}, { query: `?prefix=${encodeURIComponent(key)}&limit=1` });
  has('the listing shows it, with its ETag', listing.status === 200 && listing.json('objects.0.name') === key && listing.json('objects.0.etag') === httpAnswer(replaced).header('etag'));

  has('DELETE removes', store.send('delete', 'DELETE', key, null).status === 204);
  has('then GET answers 404', get().status === 404);
  has('then HEAD answers 404', store.send('head', 'HEAD', key, null).status === 404);
  const empty = store.send('list', 'GET', '', null, {}, { query: `?prefix=${encodeURIComponent(key)}` });
  has('then the listing is empty', empty.status === 200 && empty.json('objects.#') === 0);
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('list-head-conditional', data);
