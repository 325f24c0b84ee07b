import os,sys
sys.path.insert(0,'/work/main')
import pytest
from playwright.sync_api import sync_playwright
from tests.conditions.pages import *
from django.urls import reverse
import shutil
@pytest.mark.django_db(transaction=True)
def test_b(live_server, client):
    from tests.factories import make_clinic
    make_clinic()
    page_ = make_page()
    put_live(page_)
    u = make_editor(); client.force_login(u)
    ck = client.cookies['session'] if 'session' in client.cookies else list(client.cookies.values())[0]
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=shutil.which('chromium'), args=['--no-sandbox'])
        c = b.new_context(); c.add_cookies([{'name':ck.key,'value':ck.value,'url':live_server.url}])
        pg = c.new_page(); msgs=[]
        pg.on('console', lambda m: msgs.append(m.text)); pg.on('pageerror', lambda e: msgs.append(str(e)))
        pg.goto(live_server.url+reverse('admin:conditions_page_change', args=[page_.pk]))
        pg.wait_for_timeout(4000); print('MSGS0', msgs); pg.screenshot(path='/tmp/page0.png', full_page=True); print(pg.locator('#sections-0').inner_html()[:3000])
        ed = pg.locator('#sections-0 .ProseMirror').first; ed.click(); pg.keyboard.press('End'); pg.keyboard.type(' Typed here.')
        pg.screenshot(path='/tmp/page.png', full_page=True)
        with c.expect_page() as np: pg.locator('input[name=_preview]').click()
        n=np.value; n.wait_for_load_state(); print('PREVIEW', 'Typed here.' in n.content(), n.url); n.screenshot(path='/tmp/prev.png')
        pg.locator('input[name=_continue]').click(); pg.wait_for_load_state()
        print(page_.sections.first().body)
        e=Edition_first()
        pg.goto(live_server.url+reverse('admin:conditions_edition_change', args=[e.pk])); pg.screenshot(path='/tmp/ed.png', full_page=True)
        print('MSGS', msgs)
        b.close()
def Edition_first():
    from conditions.models import Edition
    return Edition.objects.first()
