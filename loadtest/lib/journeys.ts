/**
 * What a client does in the scenarios that exist twice, for k6 and for plain Node: the client comes in as a value.
 */
import type { ReadAnswer, WriteAnswer } from './answers.ts';
import { KeyWatch, type ExpectedDigest, type Verdict } from './key-watch.ts';
import { payload } from './payload.ts';

export interface StoreClient {
  put(name: string, generation: number, body: ArrayBuffer): Promise<WriteAnswer>;
  get(name: string): Promise<ReadAnswer>;
  remove(name: string): Promise<WriteAnswer>;
}

/** Where verdicts go. */
export interface Findings {
  verdict(verdict: Verdict): void;
  /** From the answer to a write to the answer of the read that saw it. */
  readYourWrite(milliseconds: number): void;
  now(): number;
}

/** Put, get, delete, get of one new key. */
export async function smokeJourney(client: StoreClient, findings: Findings, digest: ExpectedDigest, key: string, size: number): Promise<void> {
  const watch = new KeyWatch(key, digest, { isOwn: true, initial: null });
  watch.wrote(1, await client.put(key, 1, payload(key, 1, size)));
  findings.verdict(watch.judge(await client.get(key)));
  watch.wrote('absent', await client.remove(key));
  findings.verdict(watch.judge(await client.get(key)));
}

/** Put, get, overwrite, get, delete, get of a key that is this client's own; `round` is its how manieth time. */
export async function readYourWritesJourney(client: StoreClient, findings: Findings, watch: KeyWatch, round: number, size: number): Promise<void> {
  const { key } = watch;
  for (const generation of [2 * round + 1, 2 * round + 2]) {
    watch.wrote(generation, await client.put(key, generation, payload(key, generation, size)));
    await readBack(client, findings, watch);
  }
  watch.wrote('absent', await client.remove(key));
  await readBack(client, findings, watch);
}

async function readBack(client: StoreClient, findings: Findings, watch: KeyWatch): Promise<void> {
  const begin = findings.now();
  const answer = await client.get(watch.key);
  findings.readYourWrite(findings.now() - begin);
  findings.verdict(watch.judge(answer));
}
