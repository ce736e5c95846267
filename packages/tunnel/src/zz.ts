import { fork } from "node:child_process";
import { once } from "node:events";
import { startServer } from "./test-server.ts";
import { makeCertificate } from "./test-certificate.ts";
import { dialTunnel } from "./dial.ts";
if (process.argv[2] === "s") {
  const tls = makeCertificate(); const block = Buffer.alloc(65536, 1);
  const s = await startServer({ tls, tunnel: { onStream: (st) => {
    let left = 512e6; const fill = () => { while (left > 0) { left -= 65536; if (!st.write(block)) return; } st.end(); }; st.handler = { onData() {}, onEnd() {}, onReset() {}, onDrain: fill }; fill(); 
  } } });
  process.send?.({ url: s.url, cert: tls.cert });
  process.on("message", () => process.send?.(process.cpuUsage()));
  process.on("disconnect", () => process.exit());
} else {
  const p = fork(process.argv[1] as string, ["s"]); const [{ url, cert }] = (await once(p, "message")) as any;
  const t = await dialTunnel(url, { ca: cert });
  for (let i = 0; i < 3; i++) { p.send(1); const [u0] = await once(p, "message") as any; const o0 = process.cpuUsage(); const t0 = performance.now(); let got = 0; const s = await new Promise<any>((res, rej) => {const s = t.open({ bulk: 1 }, { onData(c, s) { got += c.length; s.consumed(c.length); }, onEnd: () => res(s), onReset: rej })}); const ms = performance.now() - t0; p.send(1); const [u1] = await once(p, "message") as any; const o1 = process.cpuUsage(o0); console.log("wss bulk down", (got / 1e3 / ms).toFixed(0), "MB/s; ms", ms.toFixed(0), "cpu own", (o1.user + o1.system) / 1e3, "theirs", (u1.user + u1.system - u0.user - u0.system) / 1e3, s.window.size); }
  t.close(); p.disconnect();
}
