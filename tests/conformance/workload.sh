# A little of everything a script may wait for; about three seconds in the lab.
umount /mnt/ext3 2>/dev/null; mount -t ext3 /dev/vdb /mnt 2>/dev/null
httpd -p 8080 -h /etc 2>/dev/null
for round in 1 2 3; do
  dd if=/dev/zero of=/mnt/f bs=4k count=64 2>/dev/null; sync; cat /mnt/f >/dev/null
  echo 3 >/proc/sys/vm/drop_caches; cat /mnt/f /etc/passwd >/dev/null; rm -f /mnt/f
  ls -lR /etc >/dev/null; stat /no/such/file 2>/dev/null; cat /root/no-such-file 2>/dev/null
  wget -q -O /dev/null http://127.0.0.1:8080/passwd 2>/dev/null
  (echo question | nc -w 1 127.0.0.1 8080 | cat) >/dev/null 2>&1
  (sleep 5 & child=$!; sleep 0.05; kill -USR1 $child; kill $child) 2>/dev/null
  true | cat | wc -c >/dev/null
  python3 - <<'P'
import ctypes, fcntl, mmap, os, select, signal, socket, subprocess, threading, time
signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 0.02); time.sleep(0.04)
a, b = socket.socketpair(); a.send(b"x" * 100); b.recv(200); select.select([a], [], [], 0.01)
p = select.poll(); p.register(b); p.poll(5); e = select.epoll(); e.register(b.fileno()); e.poll(0.01)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0)); u.sendto(b"hello", u.getsockname()); u.recvfrom(100)
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
t = threading.Thread(target=lambda: [c := s.accept()[0], c.recv(100), c.sendall(b"answer" * 100), c.close()]); t.start()
c = socket.create_connection(s.getsockname()); c.sendall(b"question"); c.recv(1000); c.close(); t.join()
try: socket.create_connection(("127.0.0.1", 1), 0.2)
except OSError: pass
m = mmap.mmap(-1, 1 << 20)
for i in range(0, 1 << 20, 4096): m[i] = 1
lock = threading.Lock(); lock.acquire()
w = threading.Thread(target=lock.acquire); w.start(); time.sleep(0.01); lock.release(); w.join()
libc = ctypes.CDLL(None); libc.semget(1234, 1, 0o1600)
semid = libc.semget(1234, 1, 0o1600); libc.semctl(semid, 0, 0)
with open("/tmp/g", "wb") as f: f.write(b"1" * 10000); f.flush(); os.fsync(f.fileno())
os.chmod("/tmp/g", 0o600); os.rename("/tmp/g", "/tmp/h"); os.unlink("/tmp/h"); os.mkdir("/tmp/d"); os.rmdir("/tmp/d")
with open("/dev/null") as f:
    fcntl.fcntl(f, fcntl.F_GETFL)
    try: fcntl.ioctl(f, 0x5401, b"\0" * 60)
    except OSError: pass
import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
x = sum(i * i for i in range(200000))
P
done
