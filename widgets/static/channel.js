// Messages from the page to a widget's Python side.
//
// They go over the control channel if the kernel listens there (see direct.py),
// so that they arrive while a cell runs; else, or if that fails, as a message of
// the widget. Every message may arrive twice: its meaning must not depend on it.

const TARGET = "ktrace_nb";
const PATIENCE_MS = 2000;
const MOST_FAILURES = 3;
const REST_MS = 10000; // a cell may have kept the kernel from answering, and has ended

function openChannel(model) {
  const session = Math.random().toString(36).slice(2);
  let count = 0;
  let failures = 0;
  let failedAt = 0;
  const rests = () => failures >= MOST_FAILURES && performance.now() - failedAt < REST_MS;

  async function sendDirect(data) {
    const kernel = model.widget_manager?.kernel;
    if (typeof kernel?.sendControlMessage !== "function") return false;
    const request = {
      header: {
        msg_id: `${TARGET}_${session}_${++count}`,
        msg_type: "comm_info_request",
        session: kernel.clientId,
        username: kernel.username,
        version: "5.3",
        date: new Date().toISOString(),
      },
      parent_header: {},
      metadata: {},
      content: { target_name: TARGET, address: model.get("address"), data },
      channel: "control",
      buffers: [],
    };
    try {
      const future = kernel.sendControlMessage(request, true, true);
      const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no answer")), PATIENCE_MS));
      const reply = await Promise.race([future.done, late]);
      if (reply?.content?.[TARGET] === true) {
        failures = 0;
        return true;
      }
    } catch {
      // Not there, not now, or the kernel is gone: the comm is tried next.
    }
    failures += 1;
    failedAt = performance.now();
    return false;
  }

  function sendComm(data) {
    try {
      model.send(data);
    } catch {
      // The kernel is gone; nobody is left to tell.
    }
  }

  return {
    // One way, the better one first; where that one fails, it is tried again now and then.
    async send(data) {
      if (!rests() && (await sendDirect({ ...data, direct: true }))) return;
      sendComm({ ...data, direct: false });
    },
    // Both ways at once, for what must not wait.
    async sendBoth(data) {
      sendComm({ ...data, direct: false });
      await sendDirect({ ...data, direct: true });
    },
  };
}
