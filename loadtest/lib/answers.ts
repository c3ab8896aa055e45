/**
 * What an answer of the gateway says about the object. A write that failed may have happened: only what the answer calls
 * "not-applied", or what never left this machine, certainly did not. Everything else is unknown, and unknown is never
 * counted as lost.
 */

/** An HTTP answer, however it was fetched. */
export interface HttpAnswer {
  /** 0: no answer, or one that broke off. */
  readonly status: number;
  /** Whether the server may have seen the request. */
  readonly mayHaveArrived: boolean;
  readonly header: (name: string) => string | null;
  /** Of a problem. */
  readonly text: () => string;
  readonly error: string;
}

export type WriteAnswer =
  | { readonly kind: 'acknowledged'; readonly version: string | null }
  | { readonly kind: 'not-applied'; readonly detail: string }
  | { readonly kind: 'unknown'; readonly detail: string };

export type ReadAnswer =
  | { readonly kind: 'found'; readonly version: string; readonly generation: number; readonly size: number; readonly sha256: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unavailable'; readonly detail: string };

/** The generation of a body, see payload.ts; kept as metadata beside it. */
export const GENERATION_HEADER = 'x-dht-meta-generation';

export function writeAnswer(answer: HttpAnswer): WriteAnswer {
  const { status } = answer;
  if (status >= 200 && status < 300) return { kind: 'acknowledged', version: answer.header('x-dht-version') };
  const detail = describe(answer);
  if (!answer.mayHaveArrived) return { kind: 'not-applied', detail };
  if (status >= 400 && status < 500) return { kind: 'not-applied', detail };
  return { kind: status !== 0 && /"outcome":\s*"not-applied"/.test(answer.text()) ? 'not-applied' : 'unknown', detail };
}

/** `sha256`: of the body as it came; asked for only when there is one. */
export function readAnswer(answer: HttpAnswer, body: () => { readonly size: number; readonly sha256: string }): ReadAnswer {
  if (answer.status === 404) return { kind: 'absent' };
  if (answer.status !== 200) return { kind: 'unavailable', detail: describe(answer) };
  return { kind: 'found', version: answer.header('x-dht-version') ?? '', generation: Number(answer.header(GENERATION_HEADER) ?? NaN), ...body() };
}

/** Whether the service was out of reach, rather than of another opinion. */
export function isUnavailable(answer: HttpAnswer): boolean {
  return answer.status === 0 || answer.status === 503;
}

/** Whether a failed request left the client without a word on when to come again. */
export function isWithoutRetryAfter(answer: HttpAnswer): boolean {
  const isFailure = answer.status === 0 || answer.status === 429 || answer.status >= 500;
  return isFailure && !((answer.status === 429 || answer.status === 503) && answer.header('retry-after') !== null);
}

export function describe(answer: HttpAnswer): string {
  if (answer.status === 0) return answer.error === '' ? 'no answer' : answer.error;
  return `${answer.status} ${answer.status >= 400 ? answer.text().slice(0, 300) : answer.error}`.trim();
}

/**
 * Orders what x-dht-version says (epoch, clock, node, in hex): negative when `a` is older. The version of a key never
 * goes back, whoever writes and whatever else happens, so a client that has seen one must not be shown an older one.
 */
export function compareVersions(a: string, b: string): number {
  const [aEpoch = '', aClock = '', aNode = ''] = a.split('-');
  const [bEpoch = '', bClock = '', bNode = ''] = b.split('-');
  const byNumber = parseInt(aEpoch, 16) - parseInt(bEpoch, 16) || parseInt(aClock, 16) - parseInt(bClock, 16);
  return byNumber !== 0 ? byNumber : aNode < bNode ? -1 : aNode > bNode ? 1 : 0;
}
