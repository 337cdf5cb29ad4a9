/** What the kernel says about processes and the machine (Linux, `/proc`). */
import { readFileSync } from 'node:fs';

/** `USER_HZ`: the unit of times in `/proc` is fixed at 10 ms on every Linux that Node.js supports. */
const TICKS_PER_SECOND = 100;

/** CPU time of a process with all its threads, user and system, in seconds; null when it is gone. */
export function processCpuSeconds(pid: number): number | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The program's name stands in parentheses and may hold anything, so fields are counted behind the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** CPU time that all processes of the machine have used, in seconds. */
export function machineCpuSeconds(): number {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

/** Resident memory of a process in bytes; null when it is gone. */
export function residentBytes(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${String(pid)}/status`, 'latin1');
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}
