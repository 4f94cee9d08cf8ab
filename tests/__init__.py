import os

# one thread, as `make test` asks for: last digits depend on it, and on a busy machine more threads wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
