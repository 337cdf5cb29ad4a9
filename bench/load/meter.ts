import { machineCpuSeconds, processCpuSeconds } from '../machine.ts';

/** What every measured run says, whoever was measured. */
export interface Measured {
  readonly seconds: number;
  /** Events within these seconds: appended, or received. */
  readonly events: number;
  readonly serverCpuSeconds: number;
  /** Cores that this generator used: near 1 it is the bottleneck, not the server. */
  readonly loadCores: number;
  /** Cores that neither the server nor this generator used. */
  readonly foreignCores: number;
}

interface Sample {
  readonly at: number;
  readonly ownCpu: number;
  readonly serverCpu: number;
  readonly machineCpu: number;
}

/** Time and CPU time between two moments of a run: of the servers' processes, of this one, and of all others. */
export class Meter {
  readonly #serverPids: readonly number[];
  #start: Sample | null = null;

  constructor(...serverPids: readonly number[]) {
    this.#serverPids = serverPids;
  }

  start(): void {
    this.#start = this.#sample();
  }

  /** What was used since `start`. */
  read(events: number): Measured {
    const start = this.#start;
    if (start === null) throw new Error('the run ended before it was measured');
    const end = this.#sample();
    const seconds = (end.at - start.at) / 1000;
    const own = end.ownCpu - start.ownCpu;
    const serverCpuSeconds = end.serverCpu - start.serverCpu;
    const foreign = end.machineCpu - start.machineCpu - serverCpuSeconds - own;
    return {
      seconds,
      events,
      serverCpuSeconds,
      loadCores: own / seconds,
      foreignCores: Math.max(0, foreign) / seconds,
    };
  }

  #sample(): Sample {
    const cpu = process.cpuUsage();
    return {
      at: performance.now(),
      ownCpu: (cpu.user + cpu.system) / 1e6,
      serverCpu: this.#serverPids.reduce((sum, pid) => sum + (processCpuSeconds(pid) ?? 0), 0),
      machineCpu: machineCpuSeconds(),
    };
  }
}
