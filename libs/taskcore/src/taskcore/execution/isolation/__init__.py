"""Attempts in processes of their own, which can be killed. Linux only.

An executor has one fork server: a process with a single thread, without connections, that has loaded the plugins. It
forks a task process for each attempt. A thread of the executor hosts the attempt until that process is gone.

```mermaid
sequenceDiagram
    participant E as executor thread
    participant F as fork server
    participant T as task process
    E->>F: START, with file descriptors (records)
    F->>T: fork
    F->>E: STARTED pid (records)
    E->>T: task, deadline, traceparent (frame, pickle)
    loop while the plugin runs
        T->>E: log line, progress (frame, JSON)
        T->>E: save_checkpoint, submit, get (frame, JSON)
        E->>T: reply (frame, pickle)
    end
    opt interrupt or pause
        E->>T: command letter (pipe)
        E->>F: SIGNAL, for the process group (records)
    end
    T->>E: spans, result (frame, JSON)
    T->>F: exits
    F->>E: EXITED wait status (records)
```

Three channels, each with one reader:

- Records (`forkserver_protocol`): fixed-size structs between executor and fork server, some with file descriptors.
- Frames (`channel`, `messages`): what the plugin says and gets. The executor reads JSON only, because a process that
  runs a plugin is not trusted with pickle. The task process trusts its executor, and unpickles.
- Commands: single letters on a pipe, read by a thread of their own, so that an interrupt never waits for a frame.

Nothing survives its parent. The fork server kills all process groups when its socket closes, however the executor
died. When the fork server itself is killed, the kernel kills its children (`PR_SET_PDEATHSIG`) and the executor kills
their process groups.
"""
