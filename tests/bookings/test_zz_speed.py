import time, cProfile, pstats
import pytest
from tests.faults.test_mail_faults import queue_many, practitioner, drain
@pytest.mark.django_db
def test_zspeed(practitioner, mailoutbox):
    queue_many(1000, practitioner)
    p=cProfile.Profile(); 
    t=time.perf_counter(); 
    p.enable(); print(drain()); p.disable()
    print(1000/(time.perf_counter()-t),"/s profiled")
    pstats.Stats(p).sort_stats("cumtime").print_stats(45)
