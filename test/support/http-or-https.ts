/** Requests to URLs of either kind, so that a client needn't know whether the gateway has a certificate. */
import * as http from 'node:http';
import * as https from 'node:https';

export function requestTo(url: string, options: http.RequestOptions, onResponse?: (response: http.IncomingMessage) => void): http.ClientRequest {
  return url.startsWith('https:') ? https.request(url, options, onResponse) : http.request(url, options, onResponse);
}

/** An agent for each kind, by the protocol of a URL. */
export class Agents {
  readonly #plain: http.Agent;
  readonly #encrypted: https.Agent;

  constructor(options: http.AgentOptions) {
    this.#plain = new http.Agent(options);
    this.#encrypted = new https.Agent(options);
  }

  of(url: string): http.Agent {
    return url.startsWith('https:') ? this.#encrypted : this.#plain;
  }

  destroy(): void {
    this.#plain.destroy();
    this.#encrypted.destroy();
  }
}
