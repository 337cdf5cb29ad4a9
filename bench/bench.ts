/** What scenarios share: servers on fresh folders, the load generator, rounds, and the report. */
import { join } from 'node:path';

import type { JobResults, JobSpecs } from './load/jobs.ts';
import { LoadProcess } from './load/load-process.ts';
import type { LoadResult } from './load/load-run.ts';
import type { Measured } from './load/meter.ts';
import {
  type AppendWorkload,
  type TailWorkload,
  tailRequests,
  type Workload,
} from './load/requests.ts';
import type { BenchOptions, Sizes } from './options.ts';
import { formatNumber, type Row, type Target, type Unit } from './report.ts';
import { type Server, type Settings, startNode, startRedis } from './servers.ts';
import { interleave, ratioOf, spreadOf } from './statistics.ts';

export interface Shape {
  readonly connections: number;
  readonly pipeline: number;
}

export interface RunSeconds {
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** Keeps 1,024 requests in flight. */
export const SATURATING: Shape = { connections: 64, pipeline: 16 };

/** One of the things compared: a server, or the nodes of a cluster, with the name it has in the progress lines. */
export class Contender implements AsyncDisposable {
  readonly name: string;
  readonly server: Server;
  readonly #servers: readonly Server[];
  readonly #bench: Bench;
  #nextEvent = 0;

  /** Connections go to all servers in turn, and their CPU is added up. */
  constructor(bench: Bench, name: string, server: Server, ...others: readonly Server[]) {
    this.#bench = bench;
    this.name = name;
    this.server = server;
    this.#servers = [server, ...others];
  }

  /** Later appends count their events from here. */
  skipTo(event: number): void {
    this.#nextEvent = Math.max(this.#nextEvent, event);
  }

  /** Sends `requests` requests, however long it takes. */
  async fill(workload: Workload, requests: number, shape: Shape): Promise<LoadResult> {
    const result = await this.#run(workload, shape, 1, { kind: 'requests', requests });
    const seconds = result.seconds.toFixed(1);
    const rate = formatNumber(result.events / result.seconds);
    this.#bench.progress(
      `  ${this.name}: ${formatNumber(result.events)} events in ${seconds} s, ${rate}/s`,
    );
    return result;
  }

  /** One measured run. The round is the seed: all contenders get the same requests in the same round. */
  async measure(
    workload: Workload,
    shape: Shape,
    round: number,
    { warmUpSeconds, seconds }: RunSeconds = this.#bench.sizes,
  ): Promise<LoadResult> {
    const length = { kind: 'time', warmUpSeconds, seconds } as const;
    const result = await this.#run(workload, shape, round + 1, length);
    const { p50, p99 } = result.latencyMs;
    const words = `${String(shape.connections)}×${String(shape.pipeline)}`;
    this.#report(
      words,
      round,
      result,
      `p50 ${formatNumber(p50)} ms, p99 ${formatNumber(p99)} ms, `,
    );
    this.#bench.record(this.name, workload, shape, round, result);
    return result;
  }

  /** Reads all of a history once, page by page, as a Redis client does that has to know the last id of a page. */
  async readTail(workload: TailWorkload, round: number): Promise<LoadResult> {
    const shape = { connections: 1, pipeline: 1 };
    const length = { kind: 'requests', requests: tailRequests(workload) } as const;
    const result = await this.#run(workload, shape, round + 1, length);
    this.#report('XREAD', round, result, '');
    this.#bench.record(this.name, workload, shape, round, result);
    return result;
  }

  /** One run with subscribers; `words` names it, `detail` is what else the progress line says. */
  async deliver<Kind extends keyof JobSpecs>(
    kind: Kind,
    makeSpec: (server: { readonly port: number; readonly serverPid: number }) => JobSpecs[Kind],
    round: number,
    words: string,
    detail: (result: JobResults[Kind]) => string = () => '',
  ): Promise<JobResults[Kind]> {
    const { port, pid: serverPid } = this.server;
    const result = await this.#bench.load.do(kind, makeSpec({ port, serverPid }));
    this.#report(words, round, result, detail(result));
    this.#bench.runs.push({ name: this.name, kind, words, round, ...result });
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server[Symbol.asyncDispose]()));
  }

  #report(words: string, round: number, result: Measured, detail: string): void {
    this.#bench.progress(
      `  ${this.name} ${words} round ${String(round + 1)}: ${formatNumber(eventsPerSecond(result))} events/s, ` +
        `${detail}${formatNumber(cpuPerEvent(result))} µs CPU per event, ` +
        `load ${result.loadCores.toFixed(2)}, foreign ${result.foreignCores.toFixed(2)} cores`,
    );
  }

  async #run(
    workload: Workload,
    shape: Shape,
    seed: number,
    length: Parameters<LoadProcess['run']>[0]['length'],
  ): Promise<LoadResult> {
    const { dialect } = this.server;
    const ports = this.#servers.map((server) => server.port);
    const serverPids = this.#servers.map((server) => server.pid);
    const numbered: Workload =
      workload.kind === 'append' ? { ...workload, firstEvent: this.#nextEvent } : workload;
    const spec = { workload: numbered, dialect, ports, serverPids, ...shape, length, seed };
    const result = await this.#bench.load.run(spec);
    if (workload.kind === 'append') this.#nextEvent += result.requestsSent;
    return result;
  }
}

/** Events of `streams` streams without supplied ids; `firstEvent` is filled in by the contender. */
export const append = (
  order: AppendWorkload['order'],
  streams: number,
  suppliedIds = false,
): AppendWorkload => ({ kind: 'append', order, streams, suppliedIds, firstEvent: 0 });

export const eventsPerSecond = (result: Measured): number => result.events / result.seconds;
/** Server CPU in microseconds. */
export const cpuPerEvent = (result: Measured): number =>
  (result.serverCpuSeconds * 1e6) / Math.max(1, result.events);

interface RowWords {
  readonly measure: string;
  readonly unit: Unit;
  readonly target?: Target | null;
  readonly note?: string;
}

/** A quick run is to stay quick: what is left after this many has one round. */
const QUICK_MS_MAX = 70_000;

export class Bench {
  readonly options: BenchOptions;
  readonly sizes: Sizes;
  readonly load: LoadProcess;
  readonly hasRedis: boolean;
  readonly rows: Row[] = [];
  /** Every measured run, for the JSON file. */
  readonly runs: unknown[] = [];
  readonly #folder: string;
  readonly #startedAt = performance.now();
  #folders = 0;

  constructor(options: BenchOptions, folder: string, load: LoadProcess, hasRedis: boolean) {
    this.options = options;
    this.sizes = options.sizes;
    this.load = load;
    this.hasRedis = hasRedis;
    this.#folder = folder;
  }

  /** Rounds of the next comparison. A quick run that a busy machine has delayed goes on with a single one. */
  get rounds(): number {
    const isLate = this.options.quick && performance.now() - this.#startedAt > QUICK_MS_MAX;
    return isLate ? 1 : this.sizes.rounds;
  }

  progress(line: string): void {
    process.stderr.write(`${line}\n`);
  }

  record(name: string, workload: Workload, shape: Shape, round: number, result: LoadResult): void {
    this.runs.push({ name, workload, ...shape, round, ...result });
  }

  /** A path for data that does not exist yet. */
  freshPath(name: string): string {
    this.#folders += 1;
    return join(this.#folder, `${String(this.#folders).padStart(2, '0')}-${name}`);
  }

  /** Our node on a folder that may hold data. */
  startNode(directory: string, settings: Settings = {}): Promise<Server> {
    return startNode(this.options.program, directory, settings);
  }

  async startOurs(name = 'ours', settings: Settings = {}, inspect = false): Promise<Contender> {
    const { program } = this.options;
    const server = await startNode(program, this.freshPath(name), settings, inspect);
    return new Contender(this, name, server);
  }

  /** Null when redis-server is not installed. */
  async startPeer(): Promise<Contender | null> {
    if (!this.hasRedis) return null;
    return new Contender(this, 'redis', await startRedis(this.freshPath('redis')));
  }

  /** Interleaved rounds of ours and, if there is one, the other. */
  async compare(
    ours: Contender,
    other: Contender | null,
    workload: Workload,
    shape: Shape,
    otherWorkload: Workload = workload,
  ): Promise<Comparison> {
    return this.alternate(
      (round) => ours.measure(workload, shape, round),
      other === null ? null : (round) => other.measure(otherWorkload, shape, round),
    );
  }

  /** Interleaved rounds of two runs of any kind. */
  async alternate<Result extends Measured>(
    ours: (round: number) => Promise<Result>,
    other: ((round: number) => Promise<Result>) | null,
  ): Promise<Comparison<Result>> {
    const runs = other === null ? [ours] : [ours, other];
    const [mine = [], theirs] = await interleave(this.rounds, runs);
    return { ours: mine, peer: theirs ?? null };
  }

  /** Adds a row with a figure of each run of a comparison. */
  addComparison<Result extends Measured>(
    comparison: Comparison<Result>,
    figure: (result: Result) => number,
    words: RowWords,
  ): void {
    const ours = comparison.ours.map(figure);
    const peer = comparison.peer?.map(figure) ?? null;
    const all = [...comparison.ours, ...(comparison.peer ?? [])];
    this.rows.push({
      measure: words.measure,
      unit: words.unit,
      ours: spreadOf(ours),
      peer: peer === null ? null : spreadOf(peer),
      ratio: peer === null ? null : ratioOf(ours, peer),
      target: words.target ?? null,
      loadCores: spreadOf(all.map(({ loadCores }) => loadCores)).median,
      foreignCores: spreadOf(all.map(({ foreignCores }) => foreignCores)).median,
      note: words.note ?? '',
    });
  }

  /** Adds a row of figures that no load generator measured. */
  addFigures(
    ours: readonly number[],
    words: RowWords,
    peer: readonly number[] | null = null,
  ): void {
    this.rows.push({
      measure: words.measure,
      unit: words.unit,
      ours: spreadOf(ours),
      peer: peer === null ? null : spreadOf(peer),
      ratio: peer === null ? null : ratioOf(ours, peer),
      target: words.target ?? null,
      loadCores: null,
      foreignCores: null,
      note: words.note ?? '',
    });
  }
}

/** The results of each side in round order. */
export interface Comparison<Result extends Measured = LoadResult> {
  readonly ours: readonly Result[];
  readonly peer: readonly Result[] | null;
}
